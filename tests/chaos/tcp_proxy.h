// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace tyllm::testing {

/// A network that misbehaves when it is told to: what connects to address() reaches a port of this
/// machine, or does not.
class TcpProxy {
 public:
  enum class Weather : std::uint8_t {
    kClear,    ///< bytes pass at once
    kSlow,     ///< about 40 KiB a second in each direction of each connection
    kStalled,  ///< connections stand, and no byte passes
    kCut,      ///< connections break, new ones too
  };

  explicit TcpProxy(std::uint16_t target_port);
  ~TcpProxy();

  /// "127.0.0.1:PORT".
  std::string address() const;

  /// Threads: any. Holds for connections that are there and those that come.
  void Set(Weather weather) { weather_ = weather; }

  Weather weather() const { return weather_; }

 private:
  using Tcp = boost::asio::ip::tcp;
  struct Connection;

  boost::asio::awaitable<void> Accept();
  boost::asio::awaitable<void> Serve(Tcp::socket near);
  boost::asio::awaitable<void> Pump(std::shared_ptr<Connection> connection, Tcp::socket& from,
                                    Tcp::socket& to);
  /// Waits while no byte may pass; false when the connection is to break.
  boost::asio::awaitable<bool> MayPass();

  boost::asio::io_context context_{1};
  Tcp::acceptor acceptor_;
  const std::uint16_t target_port_;
  std::atomic<Weather> weather_ = Weather::kClear;
  std::thread thread_;
};

}  // namespace tyllm::testing
