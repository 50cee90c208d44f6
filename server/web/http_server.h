// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "common/base/clock.h"
#include "common/base/result.h"

namespace tyllm::server::web {

/// What a path shows.
struct Page {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

/// Reads of a few fixed paths over HTTP/1.1: GET and HEAD, no bodies. All of it, handlers included,
/// runs on one executor of one thread.
class HttpServer {
 public:
  /// The page of a path (without its query); kNotFound gives 404, other errors 500.
  using Handler = std::function<boost::asio::awaitable<Result<Page>>(std::string path)>;

  struct Options {
    std::string listen;  ///< "HOST:PORT"; port 0 takes a free one
    Milliseconds idle_limit = std::chrono::seconds(30);
    std::size_t most_connections = 256;  ///< more are closed at once
  };

  /// Listens and begins to serve.
  static Result<std::unique_ptr<HttpServer>> Start(boost::asio::any_io_executor executor,
                                                   const Options& options, Handler handler);
  ~HttpServer();

  /// "HOST:PORT" with the port that it got.
  const std::string& address() const;

  /// Ends the listener and breaks off connections. Threads: any; returns before all has ended.
  void Stop();

 private:
  class Listener;
  explicit HttpServer(std::shared_ptr<Listener> listener);
  std::shared_ptr<Listener> listener_;
};

}  // namespace tyllm::server::web
