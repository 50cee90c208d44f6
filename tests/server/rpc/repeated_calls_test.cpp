// SPDX-License-Identifier: Apache-2.0
// Every call that changes something, twice: no answer to the first came through.
#include <gtest/gtest.h>

#include <functional>

#include "common/wire/status.h"
#include "google/protobuf/descriptor.h"
#include "server/rpc/reasons.h"
#include "tests/support/blob_client.h"
#include "tyllm/v1/admin.grpc.pb.h"
#include "tyllm/v1/jobs.grpc.pb.h"
#include "tyllm/v1/workers.grpc.pb.h"

namespace tyllm::server::rpc {
namespace {

using testing::BlobClient;
using testing::CallContext;
using testing::TestServer;

/// A call under a request id; `variant` changes what is asked, not of what.
using Ask = std::function<grpc::Status(const std::string& request_id, int variant)>;

class RepeatedCalls : public ::testing::Test {
 protected:
  template <typename Stub, typename Request, typename Response>
  grpc::Status Call(Stub& stub,
                    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response* response) {
    CallContext context;
    return (stub.*method)(&context, request, response);
  }

  v1::SubmitJobRequest Submission(const std::string& id, int variant) {
    v1::SubmitJobRequest request;
    request.set_request_id(id);
    request.mutable_spec()->set_kind(v1::JOB_KIND_CONVERT);
    request.mutable_spec()->set_name("demo" + std::to_string(variant));
    *request.mutable_spec()->mutable_model() = wire::ToProto(blobs_.PutTree("config.json", "{}"));
    return request;
  }

  std::string NewJob(bool cancelled = false) {
    v1::SubmitJobResponse response;
    EXPECT_TRUE(
        Call(*jobs_, &Jobs::SubmitJob, Submission(std::to_string(++made_), 0), &response).ok());
    if (cancelled) {
      v1::CancelJobRequest cancel;
      cancel.set_job_id(response.job().id());
      v1::CancelJobResponse ignored;
      EXPECT_TRUE(Call(*jobs_, &Jobs::CancelJob, cancel, &ignored).ok());
    }
    return response.job().id();
  }

  /// A worker that called and is gone.
  void MakeWorker(const std::string& name) {
    v1::SyncRequest request;
    request.set_worker(name);
    request.set_session("s");
    v1::SyncResponse response;
    const grpc::Status status = Call(*workers_, &Workers::Sync, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }

  /// By the name of the method; each asks for something of its own.
  std::map<std::string, Ask> Asks();

  using Jobs = v1::JobService::Stub;
  using Admin = v1::AdminService::Stub;
  using Workers = v1::WorkerService::Stub;
  TestServer server_;
  BlobClient blobs_{server_.channel()};
  std::unique_ptr<Jobs> jobs_ = v1::JobService::NewStub(server_.channel());
  std::unique_ptr<Admin> admin_ = v1::AdminService::NewStub(server_.channel());
  std::unique_ptr<Workers> workers_ = v1::WorkerService::NewStub(server_.channel());
  int made_ = 0;
};

std::map<std::string, Ask> RepeatedCalls::Asks() {
  std::map<std::string, Ask> asks;
  asks["SubmitJob"] = [this](const std::string& id, int variant) {
    v1::SubmitJobResponse response;
    return Call(*jobs_, &Jobs::SubmitJob, Submission(id, variant), &response);
  };
  const std::vector<std::string> to_cancel = {NewJob(), NewJob()};
  asks["CancelJob"] = [this, to_cancel](const std::string& id, int variant) {
    v1::CancelJobRequest request;
    request.set_request_id(id);
    request.set_job_id(to_cancel[static_cast<std::size_t>(variant)]);
    v1::CancelJobResponse response;
    return Call(*jobs_, &Jobs::CancelJob, request, &response);
  };
  const std::string to_retry = NewJob(true);
  asks["RetryJob"] = [this, to_retry](const std::string& id, int variant) {
    v1::RetryJobRequest request;
    request.set_request_id(id);
    request.set_job_id(to_retry);
    request.set_no_cache(variant == 1);
    v1::RetryJobResponse response;
    return Call(*jobs_, &Jobs::RetryJob, request, &response);
  };
  const std::string to_update = NewJob();
  asks["UpdateJob"] = [this, to_update](const std::string& id, int variant) {
    v1::UpdateJobRequest request;
    request.set_request_id(id);
    request.set_job_id(to_update);
    request.set_priority(variant + 1);
    request.mutable_update_mask()->add_paths("priority");
    v1::UpdateJobResponse response;
    return Call(*jobs_, &Jobs::UpdateJob, request, &response);
  };
  const std::vector<std::string> to_delete = {NewJob(true), NewJob(true)};
  asks["DeleteJob"] = [this, to_delete](const std::string& id, int variant) {
    v1::DeleteJobRequest request;
    request.set_request_id(id);
    request.set_job_id(to_delete[static_cast<std::size_t>(variant)]);
    v1::DeleteJobResponse response;
    return Call(*jobs_, &Jobs::DeleteJob, request, &response);
  };
  MakeWorker("w");
  asks["SetWorkerMode"] = [this](const std::string& id, int variant) {
    v1::SetWorkerModeRequest request;
    request.set_request_id(id);
    request.set_worker("w");
    request.set_mode(variant == 0 ? v1::WORKER_MODE_CORDONED : v1::WORKER_MODE_ACTIVE);
    v1::SetWorkerModeResponse response;
    return Call(*admin_, &Admin::SetWorkerMode, request, &response);
  };
  asks["ForgetResults"] = [this](const std::string& id, int variant) {
    v1::ForgetResultsRequest request;
    request.set_request_id(id);
    request.set_worker(variant == 0 ? "w" : "v");
    v1::ForgetResultsResponse response;
    return Call(*admin_, &Admin::ForgetResults, request, &response);
  };
  asks["SetProject"] = [this](const std::string& id, int variant) {
    v1::SetProjectRequest request;
    request.set_request_id(id);
    request.mutable_project()->set_name("vision");
    request.mutable_project()->set_weight(variant + 2);
    v1::SetProjectResponse response;
    return Call(*admin_, &Admin::SetProject, request, &response);
  };
  return asks;
}

TEST_F(RepeatedCalls, AreAnsweredAsTheFirstAndRefusedForSomethingElse) {
  for (const auto& [method, ask] : Asks()) {
    const grpc::Status first = ask("id of " + method, 0);
    EXPECT_TRUE(first.ok()) << method << ": " << first.error_message();
    const grpc::Status again = ask("id of " + method, 0);
    EXPECT_TRUE(again.ok()) << method << ": " << again.error_message();
    const grpc::Status other = ask("id of " + method, 1);
    EXPECT_EQ(other.error_code(), grpc::ALREADY_EXISTS) << method;
    EXPECT_EQ(wire::ReasonOf(other), "REQUEST_ID_REUSED") << method;
    const grpc::Status long_one = ask(std::string(65, 'x'), 1);
    EXPECT_EQ(long_one.error_code(), grpc::INVALID_ARGUMENT) << method;
  }
}

TEST_F(RepeatedCalls, NoMethodWithARequestIdIsLeftOut) {
  std::map<std::string, Ask> asks = Asks();
  for (const auto* const service :
       {v1::SubmitJobRequest::descriptor()->file()->FindServiceByName("JobService"),
        v1::SetProjectRequest::descriptor()->file()->FindServiceByName("AdminService")}) {
    ASSERT_NE(service, nullptr);
    for (int i = 0; i < service->method_count(); ++i) {
      const std::string method = service->method(i)->name();
      if (service->method(i)->input_type()->FindFieldByName("request_id") == nullptr) {
        continue;
      }
      const std::string full = service->name() + "." + method;
      EXPECT_EQ(ReasonFor(full, StatusCode::kAlreadyExists), "REQUEST_ID_REUSED") << full;
      // A worker that called a moment ago is not forgotten: tests/server/core has that.
      EXPECT_TRUE(asks.contains(method) || method == "ForgetWorker") << full;
    }
  }
}

}  // namespace
}  // namespace tyllm::server::rpc
