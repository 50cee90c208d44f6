// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <string>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

namespace tyllm::testing {

/// Sends bytes to "HOST:PORT" and reads one HTTP response; a status of 0 when none came.
struct HttpAnswer {
  int status = 0;
  std::string content_type;
  std::string body;
};

inline HttpAnswer HttpSend(const std::string& address, const std::string& bytes) {
  namespace asio = boost::asio;
  namespace http = boost::beast::http;
  asio::io_context context;
  asio::ip::tcp::resolver resolver(context);
  asio::ip::tcp::socket socket(context);
  boost::system::error_code error;
  const std::size_t colon = address.rfind(':');
  asio::connect(socket, resolver.resolve(address.substr(0, colon), address.substr(colon + 1)),
                error);
  if (!error) {
    asio::write(socket, asio::buffer(bytes), error);
  }
  boost::beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  if (bytes.starts_with("HEAD ")) {
    parser.skip(true);
  }
  if (!error) {
    http::read(socket, buffer, parser, error);
  }
  if (error) {
    return {0, "", error.message()};
  }
  const auto& response = parser.get();
  return {static_cast<int>(response.result_int()), std::string(response[http::field::content_type]),
          response.body()};
}

inline HttpAnswer HttpGet(const std::string& address, const std::string& path) {
  return HttpSend(address, "GET " + path + " HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
}

}  // namespace tyllm::testing
