// SPDX-License-Identifier: Apache-2.0
// What is asked of jobs and told of them goes there and back; the examples fill everything.
#include <gtest/gtest.h>

#include "common/wire/explanations.h"
#include "common/wire/job_changes.h"
#include "common/wire/validations.h"

namespace tyllm::wire {
namespace {

BlobId Blob(const std::string& content) {
  return {DigestOf(content), content.size()};
}

const domain::JobChange kChange{domain::JobId{7}, "request", "etag"};

void ExpectSame(const domain::JobChange& a, const domain::JobChange& b) {
  EXPECT_EQ(a.job, b.job);
  EXPECT_EQ(a.request_id, b.request_id);
  EXPECT_EQ(a.etag, b.etag);
}

TEST(WireChanges, GoThereAndBack) {
  ExpectSame(*FromProto(ToCancelProto(kChange)), kChange);
  ExpectSame(*FromProto(ToDeleteProto(kChange)), kChange);
  const domain::RetryRequest retry{kChange, true};
  ExpectSame(FromProto(ToProto(retry))->change, kChange);
  EXPECT_TRUE(FromProto(ToProto(retry))->no_cache);
  const domain::WaitRequest wait{domain::JobId{7}, 5, 6};
  EXPECT_EQ(FromProto(ToProto(wait))->job, wait.job);
  EXPECT_EQ(FromProto(ToProto(wait))->timeout_ms, 5);
  EXPECT_EQ(FromProto(ToProto(wait))->after_event, 6);
}

TEST(WireChanges, AnUpdateSaysExactlyWhatChanges) {
  domain::UpdateRequest update;
  update.change = kChange;
  update.priority = 0;
  update.labels = {{"set", "x"}, {"gone", std::nullopt}};
  const auto one = FromProto(ToProto(update));
  ASSERT_TRUE(one.ok()) << one.status().ToString();
  EXPECT_EQ(one->priority, 0);
  EXPECT_EQ(one->labels, update.labels);
  EXPECT_FALSE(one->replaces_labels);
  update.replaces_labels = true;
  update.priority.reset();
  update.labels = {{"only", "y"}};
  const auto all = FromProto(ToProto(update));
  EXPECT_TRUE(all->replaces_labels);
  EXPECT_EQ(all->labels, update.labels);
  EXPECT_FALSE(all->priority.has_value());
  v1::UpdateJobRequest nothing;
  nothing.set_job_id("j7");
  EXPECT_EQ(FromProto(nothing).status().code(), StatusCode::kInvalidArgument);
}

TEST(WireExplanations, GoThereAndBack) {
  domain::TaskExplanation task;
  task.task.id = domain::TaskId{3};
  task.needs = {"quantize"};
  task.inputs = {{"model", Blob("m")}};
  task.action_key = "abc";
  task.cache = domain::CacheUse::kKept;
  task.cache_task = domain::TaskId{9};
  task.requirements = {{"cpus", domain::MatchRule::kMinimum, "2"}};
  domain::AttemptRecord attempt{.attempt = 2,
                                .worker = "w",
                                .session = "s",
                                .started_unix_ms = 1,
                                .ended_unix_ms = 2,
                                .ending = domain::Ending::kStopped,
                                .failure = domain::Failure{.reason = "R"},
                                .log_bytes = 4,
                                .counted = true};
  task.attempts = {attempt};
  task.decisions = {{.unix_ms = 5, .text = "why"}};
  domain::JobExplanation explanation;
  explanation.job.id = domain::JobId{7};
  explanation.tasks = {task};
  const auto back = FromProto(ToProto(explanation));
  ASSERT_TRUE(back.ok()) << back.status().ToString();
  EXPECT_EQ(*back, explanation);
  const domain::TaskDetail detail{.task = task.task,
                                  .job = domain::JobId{7},
                                  .spec = {},
                                  .inputs = task.inputs,
                                  .inputs_known = true,
                                  .action_key = "abc",
                                  .toolchain_version = "1.2"};
  EXPECT_EQ(*FromProto(ToProto(detail)), detail);
}

TEST(WireValidations, GoThereAndBack) {
  domain::Validation validation;
  validation.problems = {{"MISSING_BLOBS", "spec.model", "gone", {Blob("a")}}};
  validation.tasks = {{.label = "quantize",
                       .kind = domain::TaskKind::kEvaluate,
                       .action_key = "abc",
                       .cached = true,
                       .joins = domain::TaskId{4},
                       .eligible_workers = 1,
                       .free_workers = 2,
                       .shortfalls = {{{"cpus", domain::MatchRule::kMinimum, "2"}, "1"}},
                       .expected_run_ms = 5,
                       .expected_run_low_ms = 4,
                       .expected_run_high_ms = 9,
                       .expected = {.memory_bytes = 1, .gpu_memory_bytes = 2}}};
  validation.expected_wait_ms = 6;
  validation.expected_run_ms = 7;
  validation.expected_run_low_ms = 3;
  validation.expected_run_high_ms = 11;
  EXPECT_EQ(*FromProto(ToProto(validation)), validation);
  const domain::ServerCapabilities capabilities{"1", {"v"}, {"f"}, {"sha256"}, 1, 2,  3,  4,
                                                5,   6,     7,     8,          9, 10, 11, "ada"};
  EXPECT_EQ(FromProto(ToProto(capabilities)), capabilities);
}

}  // namespace
}  // namespace tyllm::wire
