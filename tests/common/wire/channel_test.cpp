// SPDX-License-Identifier: Apache-2.0
#include "common/wire/channel.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <chrono>

#include "grpc/health/v1/health.grpc.pb.h"
#include "tests/support/paths.h"
#include "tyllm/v1/admin.grpc.pb.h"

namespace tyllm::wire {
namespace {

const std::string kData = std::string(testing::kTestData) + "/wire/";

TlsFiles Files(const std::string& ca, const std::string& end) {
  return {ca.empty() ? "" : kData + ca + ".pem", end.empty() ? "" : kData + end + ".pem",
          end.empty() ? "" : kData + end + ".key"};
}

/// A server with nothing but the health service.
class HealthServer {
 public:
  explicit HealthServer(const Security& security) {
    grpc::EnableDefaultHealthCheckService(true);
    const auto credentials = MakeServerCredentials("127.0.0.1:0", security);
    EXPECT_TRUE(credentials.ok()) << credentials.status().ToString();
    grpc::ServerBuilder builder;
    ConfigureServer(builder);
    builder.AddListeningPort("127.0.0.1:0", *credentials, &port_);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
  }

  ~HealthServer() { server_->Shutdown(); }

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  int port_ = 0;
  v1::AdminService::CallbackService service_;  // gRPC wants one that is not its own
  std::unique_ptr<grpc::Server> server_;
};

grpc::StatusCode Call(const std::string& address, const Security& security) {
  const auto channel = MakeChannel(address, security);
  EXPECT_TRUE(channel.ok()) << channel.status().ToString();
  const auto stub = grpc::health::v1::Health::NewStub(*channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  grpc::health::v1::HealthCheckResponse response;
  return stub->Check(&context, {}, &response).error_code();
}

TEST(Channel, LoopbackAddressesAreRecognised) {
  for (const char* const local :
       {"127.0.0.1:80", "127.1.2.3:80", "localhost:80", "[::1]:80", "unix:/run/tyllm"}) {
    EXPECT_TRUE(IsLoopback(local)) << local;
  }
  for (const char* const other : {"0.0.0.0:80", "10.0.0.1:80", "gpu1:80", "[::]:80",
                                  "127.example.org:80", "localhost.x:80"}) {
    EXPECT_FALSE(IsLoopback(other)) << other;
  }
}

TEST(Channel, PlainConnectionsWorkOnLoopback) {
  const HealthServer server({});
  EXPECT_EQ(Call(server.address(), {}), grpc::OK);
}

TEST(Channel, PlainConnectionsElsewhereMustBeAskedFor) {
  EXPECT_EQ(MakeChannel("gpu1:7000", {}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(MakeServerCredentials("0.0.0.0:7000", {}).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_TRUE(MakeChannel("gpu1:7000", {.insecure = true}).ok());
  EXPECT_TRUE(MakeServerCredentials("0.0.0.0:7000", {.insecure = true}).ok());
}

TEST(Channel, TlsConnectsToAServerThatTheAuthorityVouchesFor) {
  const HealthServer server({Files("", "server")});
  EXPECT_EQ(Call(server.address(), {Files("ca", "")}), grpc::OK);
  EXPECT_EQ(Call(server.address(), {Files("rogue_ca", "")}), grpc::UNAVAILABLE);
}

TEST(Channel, MutualTlsTurnsAwayClientsThatNobodyVouchesFor) {
  const HealthServer server({Files("ca", "server")});
  EXPECT_EQ(Call(server.address(), {Files("ca", "client")}), grpc::OK);
  EXPECT_EQ(Call(server.address(), {Files("ca", "rogue")}), grpc::UNAVAILABLE);
  EXPECT_EQ(Call(server.address(), {Files("ca", "")}), grpc::UNAVAILABLE);
}

TEST(Channel, BadTlsFilesAreNamed) {
  TlsFiles files = Files("ca", "server");
  files.key.clear();
  EXPECT_EQ(MakeServerCredentials("127.0.0.1:0", {files}).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(MakeChannel("127.0.0.1:1", {Files("absent", "")}).status().code(),
            StatusCode::kNotFound);
  files = Files("ca", "server");
  files.key = kData + "README.md";
  const Status status = MakeServerCredentials("127.0.0.1:0", {files}).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("README.md"), std::string::npos) << status.ToString();
  EXPECT_EQ(MakeServerCredentials("127.0.0.1:0", {Files("ca", "")}).status().code(),
            StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tyllm::wire
