// SPDX-License-Identifier: Apache-2.0
// What may be asked of jobs that are there, and what errors tell programs, over a real connection.
#include <gtest/gtest.h>

#include "common/wire/jobs.h"
#include "common/wire/status.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "tests/support/blob_client.h"
#include "tyllm/v1/admin.grpc.pb.h"
#include "tyllm/v1/jobs.grpc.pb.h"

namespace tyllm::server::rpc {
namespace {

using testing::BlobClient;
using testing::CallContext;
using testing::TestServer;

/// The one detail of a type; empty when it is not there.
template <typename Detail>
Detail DetailOf(const grpc::Status& status) {
  google::rpc::Status rich;
  EXPECT_TRUE(rich.ParseFromString(status.error_details()));
  Detail detail;
  for (const google::protobuf::Any& any : rich.details()) {
    if (any.UnpackTo(&detail)) {
      return detail;
    }
  }
  return Detail();
}

class JobChangeCalls : public ::testing::Test {
 protected:
  v1::JobSpec Spec() {
    v1::JobSpec spec;
    spec.set_kind(v1::JOB_KIND_CONVERT);
    spec.set_name("demo");
    *spec.mutable_model() = wire::ToProto(blobs_.PutTree("config.json", "{}"));
    return spec;
  }

  grpc::Status Submit(const v1::JobSpec& spec, v1::SubmitJobResponse& response,
                      bool validate_only = false) {
    CallContext context;
    v1::SubmitJobRequest request;
    request.set_request_id(validate_only ? "" : "r" + std::to_string(++requests_));
    *request.mutable_spec() = spec;
    request.set_validate_only(validate_only);
    return jobs_->SubmitJob(&context, request, &response);
  }

  v1::Job SubmitGood() {
    v1::SubmitJobResponse response;
    const grpc::Status status = Submit(Spec(), response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.job();
  }

  TestServer server_;
  BlobClient blobs_{server_.channel()};
  std::unique_ptr<v1::JobService::Stub> jobs_ = v1::JobService::NewStub(server_.channel());
  int requests_ = 0;
};

TEST_F(JobChangeCalls, AWrongFieldIsNamedByItsPath) {
  v1::JobSpec spec = Spec();
  spec.set_kind(v1::JOB_KIND_COMPILE);
  spec.mutable_compile()->set_dies(17);
  v1::SubmitJobResponse response;
  const grpc::Status status = Submit(spec, response);
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  const auto bad = DetailOf<google::rpc::BadRequest>(status);
  ASSERT_EQ(bad.field_violations_size(), 1);
  EXPECT_EQ(bad.field_violations(0).field(), "spec.compile.dies");
  EXPECT_EQ(wire::ReasonOf(status), "INVALID_ARGUMENT");
}

TEST_F(JobChangeCalls, MissingBlobsAreListed) {
  v1::JobSpec spec = Spec();
  spec.mutable_model()->set_sha256(std::string(64, 'a'));
  v1::SubmitJobResponse response;
  const grpc::Status status = Submit(spec, response);
  EXPECT_EQ(status.error_code(), grpc::FAILED_PRECONDITION);
  EXPECT_EQ(wire::ReasonOf(status), "MISSING_BLOBS");
  const auto failure = DetailOf<google::rpc::PreconditionFailure>(status);
  ASSERT_EQ(failure.violations_size(), 1);
  EXPECT_EQ(failure.violations(0).type(), "MISSING");
  EXPECT_TRUE(failure.violations(0).subject().starts_with("blobs/aaaa"));
}

TEST_F(JobChangeCalls, AUsedUpQuotaIsOneAndSaysSoBeforeToo) {
  const auto admin = v1::AdminService::NewStub(server_.channel());
  {
    CallContext context;
    v1::SetProjectRequest request;
    request.mutable_project()->set_name("small");
    request.mutable_project()->set_max_queued_jobs(0);
    v1::SetProjectResponse response;
    ASSERT_TRUE(admin->SetProject(&context, request, &response).ok());
  }
  v1::JobSpec spec = Spec();
  spec.set_project("small");
  v1::SubmitJobResponse response;
  const grpc::Status status = Submit(spec, response);
  EXPECT_EQ(status.error_code(), grpc::RESOURCE_EXHAUSTED);
  EXPECT_EQ(wire::ReasonOf(status), "QUOTA_EXCEEDED");
  EXPECT_EQ(wire::FromGrpc(status).NumberOf("limit"), 0);
  EXPECT_EQ(wire::FromGrpc(status).NumberOf("used"), 0);
  EXPECT_EQ(DetailOf<google::rpc::QuotaFailure>(status).violations_size(), 1);
  ASSERT_TRUE(Submit(spec, response, true).ok());
  ASSERT_GE(response.validation().problems_size(), 1);
  EXPECT_EQ(response.validation().problems(0).reason(), "QUOTA_EXCEEDED");
  EXPECT_FALSE(response.has_job());
}

TEST_F(JobChangeCalls, PriorityAndLabelsChangeByMaskAndEtag) {
  const v1::Job job = SubmitGood();
  v1::UpdateJobRequest request;
  request.set_job_id(job.id());
  request.set_etag(job.etag());
  request.set_priority(7);
  request.mutable_update_mask()->add_paths("priority");
  v1::UpdateJobResponse response;
  {
    CallContext context;
    const grpc::Status status = jobs_->UpdateJob(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.job().priority(), 7);
  }
  {
    CallContext context;
    const grpc::Status status = jobs_->UpdateJob(&context, request, &response);
    EXPECT_EQ(status.error_code(), grpc::ABORTED);
    EXPECT_EQ(wire::ReasonOf(status), "ETAG_MISMATCH");
    const Status::Facts facts = wire::FromGrpc(status).facts();
    EXPECT_EQ(facts.at("job"), job.id());
    EXPECT_EQ(facts.at("etag"), response.job().etag()) << "as it is now";
  }
  request.clear_etag();
  request.mutable_update_mask()->add_paths("deadline");
  CallContext context;
  EXPECT_EQ(jobs_->UpdateJob(&context, request, &response).error_code(), grpc::INVALID_ARGUMENT);
}

TEST_F(JobChangeCalls, AJobIsWaitedForCancelledRetriedAndDeleted) {
  const std::string id = SubmitGood().id();
  const auto try_delete = [&] {
    CallContext context;
    v1::DeleteJobRequest request;
    request.set_job_id(id);
    v1::DeleteJobResponse response;
    return jobs_->DeleteJob(&context, request, &response);
  };
  const grpc::Status early = try_delete();
  EXPECT_EQ(wire::ReasonOf(early), "JOB_NOT_ENDED");
  EXPECT_EQ(DetailOf<google::rpc::PreconditionFailure>(early).violations(0).subject(),
            "jobs/" + id);
  EXPECT_EQ(wire::FromGrpc(early).facts().at("job"), id);
  {
    CallContext context;
    v1::CancelJobRequest request;
    request.set_job_id(id);
    request.set_request_id("cancel");
    v1::CancelJobResponse response;
    ASSERT_TRUE(jobs_->CancelJob(&context, request, &response).ok());
  }
  {
    CallContext context;
    v1::WaitJobRequest request;
    request.set_job_id(id);
    request.set_timeout_ms(30'000);
    v1::WaitJobResponse response;
    ASSERT_TRUE(jobs_->WaitJob(&context, request, &response).ok());
    EXPECT_TRUE(response.ended());
    EXPECT_EQ(response.job().state(), v1::JOB_STATE_CANCELLED);
  }
  {
    CallContext context;
    v1::RetryJobRequest request;
    request.set_job_id(id);
    request.set_request_id("retry");
    v1::RetryJobResponse response;
    const grpc::Status status = jobs_->RetryJob(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.job().retry_of(), id);
  }
  EXPECT_TRUE(try_delete().ok());
  EXPECT_EQ(try_delete().error_code(), grpc::NOT_FOUND);
}

TEST_F(JobChangeCalls, AJobIsExplainedAndItsTaskTold) {
  const v1::Job job = SubmitGood();
  CallContext context;
  v1::ExplainJobRequest request;
  request.set_job_id(job.id());
  v1::ExplainJobResponse response;
  ASSERT_TRUE(jobs_->ExplainJob(&context, request, &response).ok());
  ASSERT_EQ(response.tasks_size(), 1);
  EXPECT_EQ(response.tasks(0).cache(), v1::CACHE_USE_MISS);
  EXPECT_EQ(response.tasks(0).action_key().size(), 64U);
  EXPECT_EQ(response.tasks(0).task().pending().reason(), v1::PENDING_REASON_NO_WORKER);
  CallContext other;
  v1::GetTaskRequest ask;
  ask.set_task_id(job.tasks(0).id());
  v1::GetTaskResponse task;
  ASSERT_TRUE(jobs_->GetTask(&other, ask, &task).ok());
  EXPECT_EQ(task.spec().kind(), v1::TASK_KIND_CONVERT);
  EXPECT_TRUE(task.inputs_known());
}

TEST_F(JobChangeCalls, CapabilitiesTellWhatFits) {
  CallContext context;
  v1::GetCapabilitiesResponse response;
  ASSERT_TRUE(jobs_->GetCapabilities(&context, {}, &response).ok());
  EXPECT_EQ(response.api_versions(0), "tyllm.v1");
  EXPECT_EQ(response.max_message_bytes(), 4 << 20);
  EXPECT_EQ(response.max_batch_bytes(), 2 << 20);
  EXPECT_EQ(response.max_batched_blob_bytes(), 256 << 10);
  EXPECT_EQ(response.max_batch_blobs(), 1000);
  EXPECT_EQ(response.request_id_ms(), 24 * 3600 * 1000);
  EXPECT_FALSE(response.has_queued_jobs_left());
}

TEST_F(JobChangeCalls, TheQueueIsCopiedWhileItServes) {
  SubmitGood();
  const auto admin = v1::AdminService::NewStub(server_.channel());
  CallContext context;
  v1::CopyQueueResponse response;
  const grpc::Status status = admin->CopyQueue(&context, {}, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_TRUE(std::filesystem::exists(response.path()));
  EXPECT_GT(response.schema_version(), 0);
}

}  // namespace
}  // namespace tyllm::server::rpc
