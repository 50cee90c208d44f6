// SPDX-License-Identifier: Apache-2.0
// A whole server with mutual TLS and roles, and callers with certificates of two names.
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/rpc/roles.h"
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
    channel_ = *wire::MakeChannel(address, security);
  }

  explicit Caller(std::shared_ptr<grpc::Channel> channel) : channel_(std::move(channel)) {}

  grpc::Status GetInfo() const {
    CallContext context;
    v1::GetServerInfoResponse response;
    return v1::AdminService::NewStub(channel_)->GetServerInfo(&context, {}, &response);
  }

  grpc::Status SetProject() const {
    CallContext context;
    v1::SetProjectRequest request;
    request.mutable_project()->set_name("default");
    request.mutable_project()->set_weight(2);
    v1::SetProjectResponse response;
    return v1::AdminService::NewStub(channel_)->SetProject(&context, request, &response);
  }

  grpc::Status ListJobs() const {
    CallContext context;
    v1::ListJobsResponse response;
    return v1::JobService::NewStub(channel_)->ListJobs(&context, {}, &response);
  }

  grpc::Status Sync() const {
    CallContext context;
    v1::SyncRequest request;
    request.set_worker("w");
    request.set_session("s");
    v1::SyncResponse response;
    return v1::WorkerService::NewStub(channel_)->Sync(&context, request, &response);
  }

  /// A stream of answers.
  grpc::Status Watch() const {
    CallContext context;
    v1::WatchJobRequest request;
    request.set_job_id("j1");
    const auto stream = v1::JobService::NewStub(channel_)->WatchJob(&context, request);
    v1::WatchJobResponse response;
    EXPECT_FALSE(stream->Read(&response));
    return stream->Finish();
  }

  /// A stream both ways, with one job that would be taken.
  grpc::Status SubmitJobs() const {
    CallContext context;
    const auto stream = v1::JobService::NewStub(channel_)->SubmitJobs(&context);
    v1::SubmitJobsRequest request;
    request.add_jobs()->set_request_id("r");
    stream->Write(request);
    stream->WritesDone();
    v1::SubmitJobsResponse response;
    while (stream->Read(&response)) {
    }
    return stream->Finish();
  }

  grpc::Status Upload() const {
    return testing::BlobClient(channel_).Upload(testing::BlobOf("text"), "text");
  }

 private:
  std::shared_ptr<grpc::Channel> channel_;
};

google::rpc::ErrorInfo InfoOf(const grpc::Status& status) {
  google::rpc::Status rich;
  EXPECT_TRUE(rich.ParseFromString(status.error_details()));
  google::rpc::ErrorInfo info;
  EXPECT_TRUE(rich.details_size() > 0 && rich.details(0).UnpackTo(&info));
  return info;
}

bool IsDenied(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::PERMISSION_DENIED;
}

TEST(RoleCalls, WithoutRolesEveryCertificateMayDoEverything) {
  testing::TestServer server(WithTls());
  const Caller client(server.server().grpc_address(), "client");
  EXPECT_TRUE(client.ListJobs().ok());
  EXPECT_TRUE(client.SetProject().ok());
  EXPECT_TRUE(client.Sync().ok());
}

TEST(RoleCalls, AClientLooksAndSubmitsButRulesNothingAndIsNoWorker) {
  app::ServerConfig config = WithTls();
  config.roles_client = "alice, cli*t";
  testing::TestServer server(config);
  const Caller client(server.server().grpc_address(), "client");
  EXPECT_TRUE(client.ListJobs().ok());
  EXPECT_TRUE(client.GetInfo().ok());
  EXPECT_TRUE(client.Upload().ok());
  EXPECT_EQ(client.Watch().error_code(), grpc::StatusCode::NOT_FOUND) << "it was looked for";
  const grpc::Status ruled = client.SetProject();
  EXPECT_TRUE(IsDenied(ruled)) << ruled.error_message();
  EXPECT_NE(ruled.error_message().find("'client'"), std::string::npos) << ruled.error_message();
  EXPECT_NE(ruled.error_message().find("roles.admin"), std::string::npos) << ruled.error_message();
  const google::rpc::ErrorInfo info = InfoOf(ruled);
  EXPECT_EQ(info.reason(), "ROLE_NEEDED");
  EXPECT_EQ(info.metadata().at("role"), "admin");
  EXPECT_EQ(info.metadata().at("method"), "AdminService.SetProject");
  const grpc::Status worked = client.Sync();
  EXPECT_TRUE(IsDenied(worked)) << worked.error_message();
  EXPECT_EQ(InfoOf(worked).metadata().at("role"), "worker");
}

TEST(RoleCalls, AWorkerWorksAndMovesFilesAndSeesNoJobs) {
  app::ServerConfig config = WithTls();
  config.roles_worker = "client";
  testing::TestServer server(config);
  const Caller worker(server.server().grpc_address(), "client");
  EXPECT_TRUE(worker.Sync().ok());
  EXPECT_TRUE(worker.Upload().ok());
  EXPECT_TRUE(IsDenied(worker.ListJobs()));
  EXPECT_TRUE(IsDenied(worker.GetInfo()));
  EXPECT_TRUE(IsDenied(worker.SetProject()));
  EXPECT_TRUE(IsDenied(worker.Watch()));
  EXPECT_TRUE(IsDenied(worker.SubmitJobs()));
}

TEST(RoleCalls, AnAdminMayWhatAClientMayToo) {
  app::ServerConfig config = WithTls();
  config.roles_admin = "server";
  config.roles_client = "client";
  testing::TestServer server(config);
  const Caller admin(server.server().grpc_address(), "server");
  EXPECT_TRUE(admin.SetProject().ok());
  EXPECT_TRUE(admin.ListJobs().ok());
  EXPECT_TRUE(admin.Upload().ok());
  EXPECT_TRUE(IsDenied(admin.Sync()));
  EXPECT_TRUE(IsDenied(Caller(server.server().grpc_address(), "client").SetProject()));
}

TEST(RoleCalls, WhoHasNoRoleMayNothing) {
  app::ServerConfig config = WithTls();
  config.roles_client = "somebody";
  testing::TestServer server(config);
  const Caller client(server.server().grpc_address(), "client");
  EXPECT_TRUE(IsDenied(client.ListJobs()));
  EXPECT_TRUE(IsDenied(client.GetInfo()));
  EXPECT_TRUE(IsDenied(client.Sync()));
  EXPECT_TRUE(IsDenied(client.Upload()));
}

TEST(RoleCalls, RolesWithoutCertificatesAreRefusedBeforeAnythingIsMade) {
  const testing::TemporaryDirectory folder;
  app::ServerConfig config;
  config.data = folder / "data";
  config.listen = config.http = "127.0.0.1:0";
  config.roles_admin = "alice";
  std::ostringstream lines;
  telemetry::Log log({}, SystemClock(), lines);
  const auto refusal = [&] {
    return app::Server::Start(config, {LocalFileSystem(), SystemClock(), log}).status();
  };
  EXPECT_EQ(refusal().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(refusal().message().find("give tls.ca"), std::string::npos) << refusal().message();
  config.roles_admin = "alice,,bob";
  EXPECT_NE(refusal().message().find("roles.admin"), std::string::npos) << refusal().message();
  EXPECT_FALSE(std::filesystem::exists(config.data));
}

TEST(RoleCalls, AlternativeNamesCountAsWell) {
  app::ServerConfig config = WithTls();
  config.roles_admin = "local*";  // both certificates are for localhost
  testing::TestServer server(config);
  EXPECT_TRUE(Caller(server.server().grpc_address(), "client").SetProject().ok());
}

TEST(RoleCalls, TheLocalSocketIsTheServersOwnUsers) {
  app::ServerConfig config = WithTls();
  config.roles_client = "somebody";
  testing::TestServer server(config);
  const Caller local(*wire::MakeChannel("unix:" + (server.data() / "worker.sock").string(), {}));
  EXPECT_TRUE(local.Sync().ok());
  EXPECT_TRUE(local.SetProject().ok());
}

TEST(Roles, PatternsFitWholeNames) {
  const auto fits = [](const std::string& pattern, const std::string& name) {
    return CheckCaller({.client = {pattern}}, {name}, "JobService.GetJob").ok();
  };
  EXPECT_TRUE(fits("gpu-*", "gpu-7"));
  EXPECT_FALSE(fits("gpu", "gpu-7"));
  EXPECT_FALSE(fits("gpu-7", "xgpu-7"));
}

TEST(Roles, EveryMethodHasSomebodyWhoMayCallIt) {
  for (const char* const name : {"JobService", "BlobService", "WorkerService", "AdminService"}) {
    const auto* const service =
        google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(
            std::string("tyllm.v1.") + name);
    ASSERT_NE(service, nullptr) << name;
    for (int i = 0; i < service->method_count(); ++i) {
      const std::string method = std::string(name) + "." + service->method(i)->name();
      EXPECT_FALSE(RolesFor(method).empty()) << method;
    }
  }
  EXPECT_TRUE(RolesFor("NewService.Get").empty()) << "what nobody has thought of is closed";
}

}  // namespace
}  // namespace tyllm::server::rpc
