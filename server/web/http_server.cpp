// SPDX-License-Identifier: Apache-2.0
#include "server/web/http_server.h"

#include <set>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

namespace tyllm::server::web {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;

using Request = http::request<http::empty_body>;
using Response = http::response<http::string_body>;

constexpr std::uint32_t kLargestHeader = 8 << 10;

Page PlainPage(http::status status, std::string text) {
  return {static_cast<int>(status), "text/plain; charset=utf-8", std::move(text) + "\n"};
}

Page PageOfError(const Status& status) {
  return PlainPage(status.code() == StatusCode::kNotFound ? http::status::not_found
                                                          : http::status::internal_server_error,
                   status.message());
}

Response ResponseOf(const Request& request, Page page) {
  Response response(static_cast<http::status>(page.status), request.version());
  response.set(http::field::content_type, page.content_type);
  response.set(http::field::cache_control, "no-store");
  response.set("X-Content-Type-Options", "nosniff");
  response.set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'");
  response.keep_alive(request.keep_alive());
  response.body() = std::move(page.body);
  response.prepare_payload();
  if (request.method() == http::verb::head) {
    response.body().clear();  // the headers stay as GET's
  }
  return response;
}

Result<tcp::endpoint> Resolve(asio::any_io_executor executor, const std::string& address) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) {
    return InvalidArgument("address is '" + address + "', expected HOST:PORT");
  }
  std::string host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  }
  beast::error_code error;
  tcp::resolver resolver(std::move(executor));
  const auto found = resolver.resolve(host, address.substr(colon + 1), error);
  if (error || found.empty()) {
    return InvalidArgument("address '" + address + "' cannot be resolved: " + error.message());
  }
  return found.begin()->endpoint();
}

}  // namespace

class HttpServer::Listener : public std::enable_shared_from_this<Listener> {
 public:
  Listener(asio::any_io_executor executor, Options options, Handler handler)
      : acceptor_(std::move(executor)),
        options_(std::move(options)),
        handler_(std::move(handler)) {}

  Status Open() {
    TYLLM_ASSIGN(const tcp::endpoint endpoint, Resolve(acceptor_.get_executor(), options_.listen));
    beast::error_code error;
    acceptor_.open(endpoint.protocol(), error);
    if (!error) {
      acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    }
    if (!error) {
      acceptor_.bind(endpoint, error);
    }
    if (!error) {
      acceptor_.listen(asio::socket_base::max_listen_connections, error);
    }
    if (error) {
      return Unavailable("cannot listen for HTTP on " + options_.listen + ": " + error.message());
    }
    address_ = options_.listen.substr(0, options_.listen.rfind(':') + 1) +
               std::to_string(acceptor_.local_endpoint().port());
    return OkStatus();
  }

  void Start() {
    asio::co_spawn(acceptor_.get_executor(), Accept(shared_from_this()), asio::detached);
  }

  void Stop() {
    asio::post(acceptor_.get_executor(), [self = shared_from_this()] {
      beast::error_code ignored;
      self->stopping_ = true;
      self->acceptor_.close(ignored);
      for (beast::tcp_stream* const stream : self->streams_) {
        stream->cancel();
        stream->socket().close(ignored);
      }
    });
  }

  const std::string& address() const { return address_; }

 private:
  // `self` keeps the listener alive as long as the coroutine.
  static asio::awaitable<void> Accept(std::shared_ptr<Listener> self) {
    while (!self->stopping_) {
      auto [error, socket] =
          co_await self->acceptor_.async_accept(asio::as_tuple(asio::use_awaitable));
      if (!error && self->streams_.size() < self->options_.most_connections) {
        asio::co_spawn(self->acceptor_.get_executor(), Serve(self, std::move(socket)),
                       asio::detached);
      } else if (error && !self->stopping_) {
        // Out of descriptors, most likely: there may be some again in a moment.
        asio::steady_timer pause(self->acceptor_.get_executor(), std::chrono::milliseconds(100));
        co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
      }
    }
  }

  static asio::awaitable<void> Serve(std::shared_ptr<Listener> self, tcp::socket socket) {
    beast::tcp_stream stream(std::move(socket));
    self->streams_.insert(&stream);
    beast::flat_buffer buffer;
    bool more = true;
    while (more && !self->stopping_) {
      more = co_await ServeOne(*self, stream, buffer);
    }
    self->streams_.erase(&stream);
    beast::error_code ignored;
    stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
  }

  static asio::awaitable<bool> ServeOne(Listener& self, beast::tcp_stream& stream,
                                        beast::flat_buffer& buffer) {
    http::request_parser<http::empty_body> parser;
    parser.header_limit(kLargestHeader);
    stream.expires_after(self.options_.idle_limit);
    const auto [read_error, read] =
        co_await http::async_read(stream, buffer, parser, asio::as_tuple(asio::use_awaitable));
    if (read_error) {
      co_return false;
    }
    Response response = ResponseOf(parser.get(), co_await self.PageOf(parser.get()));
    stream.expires_after(self.options_.idle_limit);
    const auto [write_error, written] =
        co_await http::async_write(stream, response, asio::as_tuple(asio::use_awaitable));
    co_return !write_error && response.keep_alive();
  }

  asio::awaitable<Page> PageOf(const Request& request) {
    if (request.method() != http::verb::get && request.method() != http::verb::head) {
      co_return PlainPage(http::status::method_not_allowed, "only GET and HEAD are served here");
    }
    const std::string target(request.target());
    Result<Page> page = co_await handler_(target.substr(0, target.find('?')));
    co_return page.ok() ? *std::move(page) : PageOfError(page.status());
  }

  tcp::acceptor acceptor_;
  const Options options_;
  const Handler handler_;
  std::string address_;
  std::set<beast::tcp_stream*> streams_;
  bool stopping_ = false;
};

HttpServer::HttpServer(std::shared_ptr<Listener> listener) : listener_(std::move(listener)) {}

HttpServer::~HttpServer() {
  Stop();
}

Result<std::unique_ptr<HttpServer>> HttpServer::Start(asio::any_io_executor executor,
                                                      const Options& options, Handler handler) {
  auto listener = std::make_shared<Listener>(std::move(executor), options, std::move(handler));
  TYLLM_TRY(listener->Open());
  listener->Start();
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(listener)));
}

const std::string& HttpServer::address() const {
  return listener_->address();
}

void HttpServer::Stop() {
  listener_->Stop();
}

}  // namespace tyllm::server::web
