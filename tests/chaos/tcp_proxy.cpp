// SPDX-License-Identifier: Apache-2.0
#include "tests/chaos/tcp_proxy.h"

#include <array>
#include <chrono>
#include <memory>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

namespace tyllm::testing {

namespace asio = boost::asio;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds kLook{10};
constexpr std::size_t kPiece = 64 << 10;
constexpr std::size_t kSlowPiece = 2 << 10;
constexpr std::chrono::milliseconds kSlowPause{50};

asio::awaitable<void> Pause(std::chrono::milliseconds time) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  timer.expires_after(time);
  co_await timer.async_wait(kTuple);
}

}  // namespace

struct TcpProxy::Connection {
  Connection(Tcp::socket near_end, const asio::any_io_executor& executor)
      : near(std::move(near_end)), far(executor) {}

  void Break() {
    boost::system::error_code ignored;
    near.close(ignored);
    far.close(ignored);
  }

  Tcp::socket near;
  Tcp::socket far;
};

TcpProxy::TcpProxy(std::uint16_t target_port)
    : acceptor_(context_, Tcp::endpoint(asio::ip::address_v4::loopback(), 0)),
      target_port_(target_port) {
  asio::co_spawn(context_, Accept(), asio::detached);
  thread_ = std::thread([this] { context_.run(); });
}

TcpProxy::~TcpProxy() {
  context_.stop();
  thread_.join();
}

std::string TcpProxy::address() const {
  return "127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port());
}

asio::awaitable<void> TcpProxy::Accept() {
  while (true) {
    auto [error, socket] = co_await acceptor_.async_accept(kTuple);
    if (!error) {
      asio::co_spawn(context_, Serve(std::move(socket)), asio::detached);
    }
  }
}

asio::awaitable<bool> TcpProxy::MayPass() {
  while (weather_ == Weather::kStalled) {
    co_await Pause(kLook);
  }
  co_return weather_ != Weather::kCut;
}

asio::awaitable<void> TcpProxy::Serve(Tcp::socket near) {
  const auto connection =
      std::make_shared<Connection>(std::move(near), asio::any_io_executor(context_.get_executor()));
  const bool open = co_await MayPass();
  if (!open) {
    co_return;
  }
  const Tcp::endpoint target(asio::ip::address_v4::loopback(), target_port_);
  const auto [error] = co_await connection->far.async_connect(target, kTuple);
  if (error) {
    co_return;
  }
  asio::co_spawn(context_, Pump(connection, connection->near, connection->far), asio::detached);
  asio::co_spawn(context_, Pump(connection, connection->far, connection->near), asio::detached);
  // An idle connection breaks too when the network does.
  while (connection->near.is_open() && weather_ != Weather::kCut) {
    co_await Pause(kLook);
  }
  connection->Break();
}

asio::awaitable<void> TcpProxy::Pump(std::shared_ptr<Connection> connection, Tcp::socket& from,
                                     Tcp::socket& to) {
  std::array<char, kPiece> piece{};
  while (true) {
    const bool slow = weather_ == Weather::kSlow;
    const auto [error, got] = co_await from.async_read_some(
        asio::buffer(piece.data(), slow ? kSlowPiece : kPiece), kTuple);
    const bool open = co_await MayPass();
    if (error || !open) {
      break;
    }
    if (slow) {
      co_await Pause(kSlowPause);
    }
    const auto [failed, sent] =
        co_await asio::async_write(to, asio::buffer(piece.data(), got), kTuple);
    if (failed) {
      break;
    }
  }
  connection->Break();
}

}  // namespace tyllm::testing
