// SPDX-License-Identifier: Apache-2.0
// Every field of every message goes there and back. A field that is added to a message and
// forgotten in a conversion fails here: the examples fill everything, and AllSet looks at the
// descriptors.
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "common/format/json_text.h"
#include "common/wire/admin.h"
#include "common/wire/blobs.h"
#include "common/wire/jobs.h"
#include "common/wire/projects.h"
#include "common/wire/results.h"
#include "common/wire/scheduling.h"
#include "common/wire/workers.h"
#include "tests/common/wire/full_messages.h"

namespace tyllm::wire {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::util::MessageDifferencer;

::testing::AssertionResult AllSet(const Message& message) {
  const auto& fields = *message.GetReflection();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *message.GetDescriptor()->field(i);
    if (field.real_containing_oneof() != nullptr) {
      continue;  // the outcomes have tests of their own
    }
    const bool set = field.is_repeated() ? fields.FieldSize(message, &field) > 0
                                         : fields.HasField(message, &field);
    if (!set) {
      return ::testing::AssertionFailure() << field.full_name() << " is not set";
    }
    if (!field.is_repeated() && field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      if (auto inner = AllSet(fields.GetMessage(message, &field)); !inner) {
        return inner;
      }
    }
  }
  return ::testing::AssertionSuccess();
}

template <typename T>
Result<T> Received(Result<T> result) {
  return result;
}

template <typename T>
Result<T> Received(T value) {
  return value;
}

template <typename T>
void ExpectRoundTrip(const T& sent) {
  const auto message = ToProto(sent);
  EXPECT_TRUE(AllSet(message)) << message.DebugString();
  auto wire = message;
  ASSERT_TRUE(wire.ParseFromString(message.SerializeAsString()));
  const auto received = Received(FromProto(wire));
  ASSERT_TRUE(received.ok()) << received.status().ToString();
  EXPECT_TRUE(MessageDifferencer::Equals(ToProto(*received), message));
}

TEST(WireTypes, OptionsGoThereAndBack) {
  ExpectRoundTrip(Blob("x"));
  ExpectRoundTrip(Quantize());
  ExpectRoundTrip(domain::ConvertOptions{domain::QuantizedFormat::kAmtc});
  ExpectRoundTrip(Evaluation());
  ExpectRoundTrip(Compile());
  ExpectRoundTrip(Spec());
  ExpectRoundTrip(SomeFailure());
  ExpectRoundTrip(SomeProgress());
  ExpectRoundTrip(SomeRequirement());
  ExpectRoundTrip(SomePending());
  ExpectRoundTrip(SomeCheckpoint());
  EXPECT_EQ(*FromProto(ToProto(SomePending())), SomePending());
  EXPECT_EQ(*FromProto(ToProto(SomeFailure())), SomeFailure());
  EXPECT_EQ(*FromProto(ToProto(Quantize())), Quantize());
  EXPECT_EQ(*FromProto(ToProto(Compile())), Compile());
  EXPECT_EQ(*FromProto(ToProto(Spec())), Spec());
}

TEST(WireTypes, AbsentFieldsTakeTheDefaults) {
  EXPECT_EQ(*FromProto(v1::QuantizeOptions()), domain::QuantizeOptions());
  EXPECT_EQ(*FromProto(v1::ConvertOptions()), domain::ConvertOptions());
  EXPECT_EQ(*FromProto(v1::EvaluateOptions()), domain::EvaluateOptions());
  EXPECT_EQ(*FromProto(v1::CompileOptions()), domain::CompileOptions());
}

TEST(WireTypes, ValuesThatAreDefaultsInProtoAreNotTakenForAbsent) {
  domain::QuantizeOptions options;
  options.clip = false;
  options.propagate = false;
  options.samples = 0;
  options.calibration.concat = false;
  EXPECT_EQ(*FromProto(ToProto(options)), options);
}

TEST(WireTypes, BytesThatAreNotTextDoNotBreakTheMessage) {
  domain::Failure failure = SomeFailure();
  failure.log_tail = "cut \xE2\x82";
  v1::Failure received;
  ASSERT_TRUE(received.ParseFromString(ToProto(failure).SerializeAsString()));
  EXPECT_EQ(received.log_tail(), "cut \xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(WireJobs, EverythingGoesThereAndBack) {
  ExpectRoundTrip(FullJobSpec());
  ExpectRoundTrip(FullTask());
  ExpectRoundTrip(FullJob());
  ExpectRoundTrip(domain::SubmitRequest{"request-1", FullJobSpec(), true, true});
  ExpectRoundTrip(domain::JobQuery{20,
                                   "token",
                                   {domain::JobState::kQueued, domain::JobState::kCancelled},
                                   {domain::JobKind::kCompile},
                                   "vision",
                                   {{"team", "npu"}},
                                   "Qwen",
                                   5,
                                   6,
                                   domain::JobOrder::kEnded,
                                   "ada"});
  ExpectRoundTrip(domain::JobPage{{FullJob()}, "next"});
  ExpectRoundTrip(domain::JobEvent{3, 4, "started", domain::JobState::kRunning, FullTask(), "ada"});
  ExpectRoundTrip(domain::LogChunk{2, 100, std::string("by\0tes\xFF", 7), true});
  EXPECT_EQ(*FromProto(ToProto(FullJob())), FullJob());
  EXPECT_EQ(FromProto(ToProto(domain::LogChunk{2, 1, "\xFF", true})).data, "\xFF");
}

TEST(JsonText, IsTheTextOfTheJson) {
  domain::JobSpec odd = FullJobSpec();
  odd.labels = {{"quote\"", "line\nbreak"}, {"\u00fc", "caf\u00e9 \xff"}};
  odd.evaluate.prompts = {"", "\\", "{"};
  for (const domain::JobSpec& spec : {FullJobSpec(), domain::JobSpec(), odd}) {
    EXPECT_EQ(format::CompactText(spec), format::CompactJson(format::ToJson(spec)));
  }
  const std::vector<domain::TaskInput> inputs = {{"model", Blob("m"), ""}, {"die0", {}, "x"}};
  EXPECT_EQ(format::CompactText(inputs), format::CompactJson(format::ToJson(inputs)));
  EXPECT_EQ(format::CompactText(Spec()), format::CompactJson(format::ToJson(Spec())));
}

TEST(WireJobs, OptionalTreesStayAbsent) {
  domain::JobSpec spec;
  spec.model = Blob("model");
  EXPECT_EQ(*FromProto(ToProto(spec)), spec);
}

TEST(WireWorkers, EverythingGoesThereAndBack) {
  ExpectRoundTrip(FullCapabilities());
  ExpectRoundTrip(Held(domain::Running{}));
  ExpectRoundTrip(Held(domain::Succeeded{Blob("out")}));
  ExpectRoundTrip(Held(SomeFailure()));
  ExpectRoundTrip(Held(domain::Stopped{}));
  domain::SyncRequest request;
  request.from = {"gpu1", "session-1"};
  request.capabilities = FullCapabilities();
  request.held.push_back(Held(domain::Succeeded{Blob("out")}));
  request.draining = true;
  request.wait_ms = 20'000;
  request.cached_trees = {Blob("m"), Blob("t")};
  ExpectRoundTrip(request);
  const domain::Assignment assignment{
      {{7}, 2},    "compile.die2", Spec(), {{"model", Blob("m")}, {"text", Blob("t")}},
      30'000,      60'000,         40'000, SomeCheckpoint(),
      {1, 2, 3, 4}};
  ExpectRoundTrip(assignment);
  EXPECT_EQ(*FromProto(ToProto(assignment)), assignment);
  ExpectRoundTrip(domain::SyncReply{{assignment},
                                    {{1}, {2}},
                                    {{3}},
                                    30'000,
                                    2'000,
                                    {domain::WorkerMode::kKilled, "stuck"},
                                    33'000});
  ExpectRoundTrip(domain::LogAppend{{{7}, 2}, {"gpu1", "s"}, 10, "bytes"});
}

TEST(WireWorkers, OutcomesAreToldApart) {
  const std::vector<domain::Outcome> outcomes = {domain::Running{}, domain::Succeeded{Blob("out")},
                                                 SomeFailure(), domain::Stopped{}};
  for (const domain::Outcome& outcome : outcomes) {
    EXPECT_EQ(FromProto(ToProto(Held(outcome)))->outcome, outcome);
  }
}

TEST(WireAdmin, EverythingGoesThereAndBack) {
  domain::ServerInfo info;
  info.version = "0.1.0";
  info.schema_version = 2;
  info.started_unix_ms = 3;
  info.jobs_by_state = {{domain::JobState::kQueued, 4}, {domain::JobState::kFailed, 1}};
  info.blob_bytes = 5;
  ExpectRoundTrip(info);
  domain::WorkerView worker;
  worker.name = "gpu1";
  worker.capabilities = FullCapabilities();
  worker.online = true;
  worker.order.mode = domain::WorkerMode::kDraining;
  worker.order.reason = "new disk";
  worker.order.by = "ada";
  worker.last_seen_unix_ms = 9;
  worker.tasks = {{1}, {2}};
  worker.session = "s1";
  worker.bench = domain::Bench{.failures = 3, .reason = "CRASHED", .until_unix_ms = 11};
  ExpectRoundTrip(worker);
  ExpectRoundTrip(domain::WorkerPage{{worker, worker}, "next"});
  ExpectRoundTrip(
      domain::WorkerQuery{20, "token", true, {domain::WorkerMode::kDraining}, {{"zone", "a"}}});
}

TEST(WireAdmin, ProjectsGoThereAndBack) {
  domain::ProjectUse use{{"vision", 2.5, 10, 4, 1 << 30}, 1, 2, 3, 4.5, 0.25, 0.5};
  use.etag = "e1";
  ExpectRoundTrip(use);
  EXPECT_EQ(FromProto(ToProto(use)), use);
  use.project.max_running_tasks.reset();
  EXPECT_EQ(FromProto(ToProto(use)), use);
  ExpectRoundTrip(domain::ProjectPage{{use}, "next"});
  ExpectRoundTrip(domain::ProjectQuery{20, "token"});
}

TEST(WireAdmin, RequestsToForgetResultsGoThereAndBack) {
  const domain::ForgetRequest request{.request_id = "r",
                                      .which = {.job = domain::JobId{3},
                                                .task = domain::TaskId{4},
                                                .worker = "gpu-1",
                                                .toolchain_version = "0.1.0+a",
                                                .made_from_unix_ms = 5,
                                                .made_before_unix_ms = 6,
                                                .unknown_maker = true},
                                      .validate_only = true};
  ExpectRoundTrip(request);
  v1::ForgetResultsRequest proto = ToProto(request);
  proto.set_job_id("7");
  EXPECT_EQ(FromProto(proto).status().code(), StatusCode::kInvalidArgument);
  const domain::ForgottenResults found{.results = 1, .unfinished = 2, .unknown = 3};
  EXPECT_EQ(FromProto(ToProto(found)), found);
}

TEST(WireBlobs, ListsGoThereAndBack) {
  const std::vector<BlobId> ids = {Blob("a"), Blob("b")};
  EXPECT_EQ(*FromProto(FindMissingToProto(ids)), ids);
  EXPECT_EQ(*FromProto(MissingToProto(ids)), ids);
}

// What must not be accepted: (message as sent, what the error has to name).
template <typename Proto>
void ExpectRefused(const Proto& proto, std::string_view names) {
  const auto result = FromProto(proto);
  ASSERT_FALSE(result.ok()) << proto.DebugString();
  EXPECT_EQ(result.status().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(result.status().message().find(names), std::string::npos) << result.status().ToString();
}

TEST(WireErrors, UnknownEnumeratorsAreRefused) {
  v1::JobSpec spec = ToProto(FullJobSpec());
  spec.set_kind(static_cast<v1::JobKind>(77));
  ExpectRefused(spec, "kind has the number 77");
  spec.set_kind(v1::JOB_KIND_UNSPECIFIED);
  ExpectRefused(spec, "kind has the number 0");
  spec = ToProto(FullJobSpec());
  spec.mutable_quantize()->set_method(static_cast<v1::QuantizeMethod>(9));
  ExpectRefused(spec, "quantize: method has the number 9");
  v1::ListJobsRequest list;
  list.add_states(static_cast<v1::JobState>(-1));
  ExpectRefused(list, "states has the number -1");
  v1::Failure failure = ToProto(SomeFailure());
  failure.set_blame(static_cast<v1::Blame>(6));
  ExpectRefused(failure, "blame");
  v1::Task task = ToProto(FullTask());
  task.set_state(static_cast<v1::TaskState>(8));
  ExpectRefused(task, "state has the number 8");
}

TEST(WireErrors, BadIdsAndDigestsAreRefusedByField) {
  v1::JobSpec spec = ToProto(FullJobSpec());
  spec.mutable_model()->set_sha256("XYZ");
  ExpectRefused(spec, "model: sha256");
  spec.clear_model();
  ExpectRefused(spec, "model: sha256");
  v1::Held held = ToProto(Held(domain::Running{}));
  held.set_task_id("j7");
  ExpectRefused(held, "task_id");
  held = ToProto(Held(domain::Running{}));
  held.set_attempt(0);
  ExpectRefused(held, "attempt is 0");
  held = ToProto(Held(domain::Succeeded{Blob("x")}));
  held.mutable_succeeded()->clear_output();
  ExpectRefused(held, "succeeded.output");
}

// The names in the .proto files and in the enum tables are the same words.
template <typename E>
void ExpectNamesAgree(const google::protobuf::EnumDescriptor& proto, std::string_view prefix) {
  const auto& names = NamesOf(E{});
  ASSERT_EQ(proto.value_count(), static_cast<int>(names.rows().size()) + 1);
  for (const auto& [value, name] : names.rows()) {
    std::string expected(prefix);
    for (const char c : name) {
      const auto letter = static_cast<unsigned char>(c);
      expected += std::isalnum(letter) != 0 ? static_cast<char>(std::toupper(letter)) : '_';
    }
    const auto* const found = proto.FindValueByNumber(static_cast<int>(value) + 1);
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->name(), expected);
  }
}

TEST(WireEnums, ProtoNamesAreTheTablesNames) {
  ExpectNamesAgree<domain::JobKind>(*v1::JobKind_descriptor(), "JOB_KIND_");
  ExpectNamesAgree<domain::JobState>(*v1::JobState_descriptor(), "JOB_STATE_");
  ExpectNamesAgree<domain::TaskState>(*v1::TaskState_descriptor(), "TASK_STATE_");
  ExpectNamesAgree<domain::TaskKind>(*v1::TaskKind_descriptor(), "TASK_KIND_");
  ExpectNamesAgree<domain::Blame>(*v1::Blame_descriptor(), "BLAME_");
  ExpectNamesAgree<domain::JobOrder>(*v1::JobOrder_descriptor(), "JOB_ORDER_");
  ExpectNamesAgree<domain::JobClass>(*v1::JobClass_descriptor(), "JOB_CLASS_");
  ExpectNamesAgree<domain::MemoryKind>(*v1::MemoryKind_descriptor(), "MEMORY_KIND_");
  ExpectNamesAgree<domain::MatchRule>(*v1::MatchRule_descriptor(), "MATCH_RULE_");
  ExpectNamesAgree<domain::PendingReason>(*v1::PendingReason_descriptor(), "PENDING_REASON_");
  ExpectNamesAgree<domain::WorkerMode>(*v1::WorkerMode_descriptor(), "WORKER_MODE_");
  ExpectNamesAgree<domain::QuantizeMethod>(*v1::QuantizeMethod_descriptor(), "QUANTIZE_METHOD_");
  ExpectNamesAgree<domain::QuantizedFormat>(*v1::QuantizedFormat_descriptor(), "QUANTIZED_FORMAT_");
}

}  // namespace
}  // namespace tyllm::wire
