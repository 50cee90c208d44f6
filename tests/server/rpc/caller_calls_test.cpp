// SPDX-License-Identifier: Apache-2.0
// A whole server with mutual TLS: who asks is told by certificates, and by nothing in a message.
#include <gtest/gtest.h>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "tests/support/blob_client.h"
#include "tests/support/paths.h"
#include "tests/support/test_server.h"
#include "tyllm/v1/admin.grpc.pb.h"
#include "tyllm/v1/jobs.grpc.pb.h"
#include "tyllm/v1/workers.grpc.pb.h"

namespace tyllm::server::rpc {
namespace {

using testing::CallContext;

const std::string kCertificates = std::string(testing::kTestData) + "/wire/";

app::ServerConfig WithTls() {
  app::ServerConfig config;
  config.tls_ca = kCertificates + "ca.pem";
  config.tls_cert = kCertificates + "server.pem";
  config.tls_key = kCertificates + "server.key";
  return config;
}

/// Calls with the certificate of `name`, "client" or "server".
class Caller {
 public:
  Caller(const std::string& address, const std::string& name) {
    wire::Security security;
    security.tls = {kCertificates + "ca.pem", kCertificates + name + ".pem",
                    kCertificates + name + ".key"};
    Connect(*wire::MakeChannel(address, security));
  }

  explicit Caller(const std::shared_ptr<grpc::Channel>& channel) { Connect(channel); }

  v1::JobService::Stub& jobs() const { return *jobs_; }

  v1::SubmitJobRequest Request(const std::string& request_id) const {
    v1::SubmitJobRequest request;
    request.set_request_id(request_id);
    request.mutable_spec()->set_kind(v1::JOB_KIND_CONVERT);
    request.mutable_spec()->set_name("tiny");
    request.mutable_spec()->set_no_cache(true);
    *request.mutable_spec()->mutable_model() =
        wire::ToProto(testing::BlobClient(channel_).PutTree("config.json", "{}"));
    return request;
  }

  v1::Job Submit(const std::string& request_id) const {
    CallContext context;
    v1::SubmitJobResponse response;
    const grpc::Status status = jobs_->SubmitJob(&context, Request(request_id), &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.job();
  }

  /// As a stream of one.
  void SubmitBeside(const std::string& request_id) const {
    CallContext context;
    const auto stream = jobs_->SubmitJobs(&context);
    v1::SubmitJobsRequest request;
    *request.add_jobs() = Request(request_id);
    stream->Write(request);
    stream->WritesDone();
    v1::SubmitJobsResponse response;
    while (stream->Read(&response)) {
      EXPECT_FALSE(response.jobs(0).job_id().empty());
    }
    EXPECT_TRUE(stream->Finish().ok());
  }

  void Cancel(const std::string& job) const {
    CallContext context;
    v1::CancelJobRequest request;
    request.set_job_id(job);
    v1::CancelJobResponse response;
    EXPECT_TRUE(jobs_->CancelJob(&context, request, &response).ok());
  }

  v1::Job Retry(const std::string& job) const {
    CallContext context;
    v1::RetryJobRequest request;
    request.set_job_id(job);
    request.set_request_id("retry of " + job);
    v1::RetryJobResponse response;
    EXPECT_TRUE(jobs_->RetryJob(&context, request, &response).ok());
    return response.job();
  }

  std::string Name() const {
    CallContext context;
    v1::GetCapabilitiesResponse response;
    EXPECT_TRUE(jobs_->GetCapabilities(&context, {}, &response).ok());
    return response.caller();
  }

  std::string ListOf(const std::string& submitted_by) const {
    CallContext context;
    v1::ListJobsRequest request;
    request.set_submitted_by(submitted_by);
    v1::ListJobsResponse response;
    EXPECT_TRUE(jobs_->ListJobs(&context, request, &response).ok());
    std::string found;
    for (const v1::Job& job : response.jobs()) {
      found += (found.empty() ? "" : " ") + job.id() + " of " + job.submitted_by();
    }
    return found;
  }

  /// Of a job that has ended: who asked for what.
  std::string History(const std::string& job) const {
    CallContext context;
    v1::WatchJobRequest request;
    request.set_job_id(job);
    const auto stream = jobs_->WatchJob(&context, request);
    std::string told;
    v1::WatchJobResponse event;
    while (stream->Read(&event)) {
      if (!event.by().empty()) {
        told += (told.empty() ? "" : "; ") + event.text() + " by " + event.by();
      }
    }
    return told;
  }

  std::string CordonWorker() const {
    {
      CallContext context;
      v1::SyncRequest request;
      request.set_worker("w");
      request.set_session("s");
      v1::SyncResponse response;
      EXPECT_TRUE(v1::WorkerService::NewStub(channel_)->Sync(&context, request, &response).ok());
    }
    CallContext context;
    v1::SetWorkerModeRequest request;
    request.set_worker("w");
    request.set_mode(v1::WORKER_MODE_CORDONED);
    v1::SetWorkerModeResponse response;
    const auto admin = v1::AdminService::NewStub(channel_);
    EXPECT_TRUE(admin->SetWorkerMode(&context, request, &response).ok());
    return response.worker().mode_by();
  }

 private:
  void Connect(const std::shared_ptr<grpc::Channel>& channel) {
    channel_ = channel;
    jobs_ = v1::JobService::NewStub(channel);
  }

  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::JobService::Stub> jobs_;
};

TEST(CallerCalls, ACertificatesNameIsKeptWithJobsAndToldWithWhatHappenedToThem) {
  testing::TestServer server(WithTls());
  const Caller client(server.server().grpc_address(), "client");
  const Caller other(server.server().grpc_address(), "server");
  const std::string name = client.Name();
  const std::string others = other.Name();
  ASSERT_FALSE(name.empty());
  ASSERT_NE(name, others);
  const v1::Job job = client.Submit("r");
  EXPECT_EQ(job.submitted_by(), name);
  other.SubmitBeside("s");
  other.Cancel(job.id());
  EXPECT_EQ(client.History(job.id()),
            "job accepted: 1 tasks by " + name + "; cancellation asked for by " + others);
  EXPECT_EQ(other.Retry(job.id()).submitted_by(), name) << "it stays whose it was";
  EXPECT_EQ(client.ListOf(name), "j3 of " + name + " j1 of " + name);
  EXPECT_EQ(client.ListOf(others), "j2 of " + others);
  EXPECT_EQ(client.ListOf("nobody"), "");
  EXPECT_EQ(other.CordonWorker(), others);
}

TEST(CallerCalls, WithoutCertificatesNobodyHasAName) {
  testing::TestServer server;
  const Caller caller(server.channel());
  EXPECT_EQ(caller.Name(), "");
  const v1::Job job = caller.Submit("r");
  EXPECT_EQ(job.submitted_by(), "");
  caller.Cancel(job.id());
  EXPECT_EQ(caller.History(job.id()), "");
  EXPECT_EQ(caller.ListOf(""), "j1 of ");
  EXPECT_EQ(caller.CordonWorker(), "");
}

TEST(CallerCalls, TheLocalSocketHasNoName) {
  testing::TestServer server(WithTls());
  const Caller local(*wire::MakeChannel("unix:" + (server.data() / "worker.sock").string(), {}));
  EXPECT_EQ(local.Name(), "");
  EXPECT_EQ(local.Submit("r").submitted_by(), "");
}

TEST(CallerCalls, AJobThatNobodyTakesIsRefusedWithATypedProblem) {
  testing::TestServer server;
  const Caller caller(server.channel());
  v1::SubmitJobRequest request = caller.Request("r");
  request.set_refuse_if_no_worker(true);
  CallContext context;
  v1::SubmitJobResponse response;
  const grpc::Status refused = caller.jobs().SubmitJob(&context, request, &response);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  google::rpc::Status rich;
  ASSERT_TRUE(rich.ParseFromString(refused.error_details()));
  google::rpc::ErrorInfo info;
  google::rpc::PreconditionFailure failure;
  for (const auto& detail : rich.details()) {
    static_cast<void>(detail.UnpackTo(&info) || detail.UnpackTo(&failure));
  }
  EXPECT_EQ(info.reason(), "NO_WORKER");
  ASSERT_EQ(failure.violations_size(), 1);
  EXPECT_EQ(failure.violations(0).type(), "NO_WORKER");
  EXPECT_NE(failure.violations(0).description().find("no worker is online"), std::string::npos)
      << failure.violations(0).description();
  EXPECT_EQ(caller.ListOf(""), "");
}

}  // namespace
}  // namespace tyllm::server::rpc
