// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <sstream>
#include <string>

#include "common/wire/channel.h"
#include "server/app/server.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::testing {

/// A whole server in this process, on free loopback ports, with a data folder of its own.
class TestServer {
 public:
  explicit TestServer(server::app::ServerConfig config = {}, FileSystem& files = LocalFileSystem())
      : log_({telemetry::LogLevel::kDebug, telemetry::LogFormat::kText}, SystemClock(), lines_) {
    config.data = folder_ / "data";
    config.listen = "127.0.0.1:0";
    config.http = "127.0.0.1:0";
    auto server = server::app::Server::Start(config, {files, SystemClock(), log_});
    EXPECT_TRUE(server.ok()) << server.status().ToString();
    if (server.ok()) {
      server_ = *std::move(server);
      channel_ = *wire::MakeChannel(server_->grpc_address(), {});
    }
  }

  server::app::Server& server() { return *server_; }

  std::filesystem::path data() const { return folder_ / "data"; }

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

 private:
  TemporaryDirectory folder_;
  std::ostringstream lines_;
  telemetry::Log log_;
  std::unique_ptr<server::app::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

/// A call's context with a deadline that only a hanging server meets.
class CallContext : public grpc::ClientContext {
 public:
  CallContext() { set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60)); }
};

}  // namespace tyllm::testing
