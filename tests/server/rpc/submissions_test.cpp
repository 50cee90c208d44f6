// SPDX-License-Identifier: Apache-2.0
// SubmitJobs over a real connection.
#include <gtest/gtest.h>

#include <chrono>
#include <limits>
#include <map>
#include <set>
#include <thread>

#include "common/wire/jobs.h"
#include "common/wire/status.h"
#include "google/rpc/error_details.pb.h"
#include "tests/support/blob_client.h"
#include "tyllm/v1/jobs.grpc.pb.h"

namespace tyllm::server::rpc {
namespace {

using testing::BlobClient;
using testing::CallContext;
using testing::TestServer;

using Stream = grpc::ClientReaderWriter<v1::SubmitJobsRequest, v1::SubmitJobsResponse>;
using Answers = std::map<std::string, v1::SubmittedJob>;

class Submissions : public ::testing::Test {
 protected:
  v1::SubmitJobRequest Job(const std::string& request_id) {
    v1::SubmitJobRequest request;
    request.set_request_id(request_id);
    request.mutable_spec()->set_kind(v1::JOB_KIND_CONVERT);
    request.mutable_spec()->set_name("demo");
    *request.mutable_spec()->mutable_model() = wire::ToProto(model_);
    return request;
  }

  static v1::SubmitJobsRequest Message(const std::vector<v1::SubmitJobRequest>& jobs) {
    v1::SubmitJobsRequest message;
    for (const v1::SubmitJobRequest& job : jobs) {
      *message.add_jobs() = job;
    }
    return message;
  }

  /// Each is answered once.
  static Answers ReadUntil(Stream& stream, std::size_t count) {
    Answers answers;
    v1::SubmitJobsResponse response;
    while (answers.size() < count && stream.Read(&response)) {
      for (const v1::SubmittedJob& job : response.jobs()) {
        EXPECT_TRUE(answers.emplace(job.request_id(), job).second) << job.request_id();
      }
    }
    return answers;
  }

  static Answers ReadAll(Stream& stream) {
    return ReadUntil(stream, std::numeric_limits<std::size_t>::max());
  }

  static std::string ReasonIn(const v1::SubmittedJob& answer) {
    google::rpc::ErrorInfo info;
    for (const google::protobuf::Any& detail : answer.error().details()) {
      if (detail.UnpackTo(&info)) {
        return info.reason();
      }
    }
    return {};
  }

  TestServer server_;
  const BlobId model_ = BlobClient(server_.channel()).PutTree("config.json", "{}");
  std::unique_ptr<v1::JobService::Stub> jobs_ = v1::JobService::NewStub(server_.channel());
};

TEST_F(Submissions, MoreThanAreWorkedOnAtATimeAreAllAnswered) {
  CallContext context;
  const auto stream = jobs_->SubmitJobs(&context);
  std::vector<v1::SubmitJobRequest> many;
  for (int i = 0; i < 700; ++i) {
    many.push_back(Job("many" + std::to_string(i)));
  }
  ASSERT_TRUE(stream->Write(Message(many)));
  ASSERT_TRUE(stream->WritesDone());
  const Answers answers = ReadAll(*stream);
  EXPECT_TRUE(stream->Finish().ok());
  ASSERT_EQ(answers.size(), many.size());
  std::set<std::string> ids;
  for (const auto& [request_id, answer] : answers) {
    EXPECT_TRUE(ids.insert(answer.job_id()).second) << request_id;
  }
  CallContext asking;
  v1::GetJobRequest request;
  request.set_job_id(answers.at("many7").job_id());
  v1::GetJobResponse job;
  ASSERT_TRUE(jobs_->GetJob(&asking, request, &job).ok());
  EXPECT_EQ(job.job().spec().name(), "demo");
}

TEST_F(Submissions, AreAnsweredWhileTheClientStillSends) {
  CallContext context;
  const auto stream = jobs_->SubmitJobs(&context);
  for (const std::string id : {"one", "two", "three"}) {
    ASSERT_TRUE(stream->Write(Message({Job(id)})));
    EXPECT_TRUE(ReadUntil(*stream, 1).at(id).has_job_id());
  }
  ASSERT_TRUE(stream->WritesDone());
  EXPECT_TRUE(ReadAll(*stream).empty());
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(Submissions, OneThatIsRefusedDisturbsNoOther) {
  v1::SubmitJobRequest bad = Job("bad");
  bad.mutable_spec()->set_kind(v1::JOB_KIND_COMPILE);
  bad.mutable_spec()->mutable_compile()->set_dies(17);
  v1::SubmitJobRequest missing = Job("missing");
  missing.mutable_spec()->mutable_model()->set_sha256(std::string(64, '0'));
  v1::SubmitJobRequest unsaid = Job("unsaid");
  unsaid.mutable_spec()->mutable_model()->set_sha256("?");
  v1::SubmitJobRequest asks = Job("asks");
  asks.set_validate_only(true);
  CallContext context;
  const auto stream = jobs_->SubmitJobs(&context);
  ASSERT_TRUE(stream->Write(Message({Job("a"), bad, missing, unsaid, asks, Job(""), Job("b")})));
  ASSERT_TRUE(stream->WritesDone());
  Answers answers = ReadAll(*stream);
  EXPECT_TRUE(stream->Finish().ok());
  ASSERT_EQ(answers.size(), 7U);
  EXPECT_TRUE(answers["a"].has_job_id());
  EXPECT_TRUE(answers["b"].has_job_id());
  EXPECT_EQ(ReasonIn(answers["bad"]), "INVALID_ARGUMENT");
  EXPECT_EQ(ReasonIn(answers["missing"]), "MISSING_BLOBS");
  EXPECT_EQ(answers["missing"].error().code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(ReasonIn(answers["unsaid"]), "INVALID_ARGUMENT");
  EXPECT_EQ(ReasonIn(answers["asks"]), "INVALID_ARGUMENT");
  EXPECT_EQ(ReasonIn(answers[""]), "INVALID_ARGUMENT");
  google::rpc::BadRequest violations;
  for (const auto& detail : answers["bad"].error().details()) {
    detail.UnpackTo(&violations);
  }
  ASSERT_EQ(violations.field_violations_size(), 1);
  EXPECT_EQ(violations.field_violations(0).field(), "spec.compile.dies");
}

TEST_F(Submissions, AreTheSameRequestsAsThoseOfSubmitJob) {
  CallContext unary;
  v1::SubmitJobResponse made;
  ASSERT_TRUE(jobs_->SubmitJob(&unary, Job("same"), &made).ok());
  v1::SubmitJobRequest other = Job("same");
  other.mutable_spec()->set_name("other");
  CallContext context;
  const auto stream = jobs_->SubmitJobs(&context);
  ASSERT_TRUE(stream->Write(Message({Job("same")})));
  EXPECT_EQ(ReadUntil(*stream, 1).at("same").job_id(), made.job().id());
  ASSERT_TRUE(stream->Write(Message({other})));
  EXPECT_EQ(ReasonIn(ReadUntil(*stream, 1).at("same")), "REQUEST_ID_REUSED");
  ASSERT_TRUE(stream->WritesDone());
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(Submissions, OfAClientThatGoesAwayMakeNoJobTwice) {
  std::vector<v1::SubmitJobRequest> many;
  for (int i = 0; i < 300; ++i) {
    many.push_back(Job("gone" + std::to_string(i)));
  }
  {
    CallContext context;
    const auto stream = jobs_->SubmitJobs(&context);
    ASSERT_TRUE(stream->Write(Message(many)));
    EXPECT_GE(ReadUntil(*stream, 1).size(), 1U);
    context.TryCancel();
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  CallContext context;
  const auto stream = jobs_->SubmitJobs(&context);
  ASSERT_TRUE(stream->Write(Message(many)));
  ASSERT_TRUE(stream->WritesDone());
  const Answers answers = ReadAll(*stream);
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(answers.size(), many.size());
  std::set<std::string> made;
  CallContext listing;
  v1::ListJobsRequest request;
  request.set_page_size(1000);
  v1::ListJobsResponse page;
  ASSERT_TRUE(jobs_->ListJobs(&listing, request, &page).ok());
  EXPECT_EQ(static_cast<std::size_t>(page.jobs_size()), many.size());
}

// Answers that nobody reads hold up what would come after them, and are not lost.
TEST_F(Submissions, OfAClientThatReadsLateAreAllAnswered) {
  CallContext context;
  const auto stream = jobs_->SubmitJobs(&context);
  constexpr std::size_t kMessages = 40;
  constexpr std::size_t kInOne = 50;
  std::thread sending([&] {
    std::size_t sent = 0;
    for (std::size_t message = 0; message < kMessages; ++message) {
      std::vector<v1::SubmitJobRequest> jobs;
      for (std::size_t i = 0; i < kInOne; ++i) {
        // Long answers: refused, and the message names what was asked for.
        jobs.push_back(Job("late" + std::to_string(sent++)));
        jobs.back().mutable_spec()->mutable_model()->set_sha256(std::string(900, 'x'));
      }
      if (!stream->Write(Message(jobs))) {
        return;
      }
    }
    stream->WritesDone();
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_EQ(ReadAll(*stream).size(), kMessages * kInOne);
  sending.join();
  EXPECT_TRUE(stream->Finish().ok());
}

}  // namespace
}  // namespace tyllm::server::rpc
