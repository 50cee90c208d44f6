// SPDX-License-Identifier: Apache-2.0
#include "server/web/http_server.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "tests/support/http_get.h"

namespace tyllm::server::web {
namespace {

using testing::HttpGet;
using testing::HttpSend;

boost::asio::awaitable<Result<Page>> Echo(std::string path) {
  if (path == "/absent") {
    co_return NotFound("no such page");
  }
  if (path == "/broken") {
    co_return Internal("the store is broken");
  }
  Page page;
  page.body = "you asked for " + path;
  co_return page;
}

class HttpServerTest : public ::testing::Test {
 protected:
  void Start(HttpServer::Options options = {}) {
    options.listen = "127.0.0.1:0";
    auto server = HttpServer::Start(context_.get_executor(), options, Echo);
    ASSERT_TRUE(server.ok()) << server.status().ToString();
    server_ = *std::move(server);
    thread_ = std::thread([this] { context_.run(); });
  }

  void TearDown() override {
    if (server_) {
      server_->Stop();
    }
    work_.reset();
    if (thread_.joinable()) {
      thread_.join();  // hangs if Stop leaves anything behind
    }
  }

  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
      context_.get_executor()};
  std::unique_ptr<HttpServer> server_;
  std::thread thread_;
};

TEST_F(HttpServerTest, PagesAreServedByPathWithoutTheQuery) {
  Start();
  const auto answer = HttpGet(server_->address(), "/some/page?x=1");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "you asked for /some/page");
  EXPECT_EQ(answer.content_type, "text/plain; charset=utf-8");
}

TEST_F(HttpServerTest, ErrorsHaveTheirStatus) {
  Start();
  EXPECT_EQ(HttpGet(server_->address(), "/absent").status, 404);
  EXPECT_EQ(HttpGet(server_->address(), "/broken").status, 500);
  const auto post =
      HttpSend(server_->address(), "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(post.status, 405);
}

TEST_F(HttpServerTest, HeadHasHeadersOnly) {
  Start();
  const auto answer =
      HttpSend(server_->address(), "HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "");
}

TEST_F(HttpServerTest, WhatIsNotHttpIsCutOff) {
  Start();
  EXPECT_EQ(HttpSend(server_->address(), "\x16\x03\x01 hello\r\n\r\n").status, 0);
  EXPECT_EQ(
      HttpSend(server_->address(), "GET /" + std::string(20'000, 'a') + " HTTP/1.1\r\n\r\n").status,
      0);
  EXPECT_EQ(HttpGet(server_->address(), "/").status, 200) << "others are not disturbed";
}

TEST_F(HttpServerTest, ConnectionsThatSayNothingAreClosedAfterTheLimit) {
  HttpServer::Options options;
  options.idle_limit = Milliseconds(50);
  Start(options);
  EXPECT_EQ(HttpSend(server_->address(), "GET / HTT").status, 0);
}

TEST_F(HttpServerTest, ConnectionsBeyondTheLimitAreClosed) {
  HttpServer::Options options;
  options.most_connections = 1;
  Start(options);
  boost::asio::io_context context;
  boost::asio::ip::tcp::socket first(context);
  const std::string address = server_->address();
  first.connect({boost::asio::ip::make_address("127.0.0.1"),
                 static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)))});
  boost::asio::write(first, boost::asio::buffer(std::string("GET / HTTP/1.1\r\nHost: x\r\n\r\n")));
  char byte = 0;
  boost::asio::read(first, boost::asio::buffer(&byte, 1));  // it has been accepted and served
  EXPECT_EQ(HttpGet(address, "/").status, 0);
}

TEST_F(HttpServerTest, StopEndsOpenConnections) {
  Start();
  boost::asio::io_context context;
  boost::asio::ip::tcp::socket idle(context);
  const std::string address = server_->address();
  idle.connect({boost::asio::ip::make_address("127.0.0.1"),
                static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)))});
  server_->Stop();
  char byte = 0;
  boost::system::error_code error;
  boost::asio::read(idle, boost::asio::buffer(&byte, 1), error);
  EXPECT_TRUE(error);
}

TEST(HttpServerStart, BadAddressesAreNamed) {
  boost::asio::io_context context;
  for (const char* const bad : {"no-port", "256.0.0.1:0", "127.0.0.1:no-such-service"}) {
    const auto server = HttpServer::Start(context.get_executor(), {bad}, Echo);
    ASSERT_FALSE(server.ok()) << bad;
    EXPECT_NE(server.status().message().find(bad), std::string::npos);
  }
  const auto first = HttpServer::Start(context.get_executor(), {"127.0.0.1:0"}, Echo);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(HttpServer::Start(context.get_executor(), {(*first)->address()}, Echo).status().code(),
            StatusCode::kUnavailable);
}

}  // namespace
}  // namespace tyllm::server::web
