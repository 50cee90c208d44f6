// SPDX-License-Identifier: Apache-2.0
#include "client/api/plain_probe.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string_view>

#include "common/base/handle.h"

namespace tyllm::client {

namespace {

// RFC 9113: the client's preface and an empty SETTINGS frame. The server sends its SETTINGS.
constexpr std::string_view kGreeting("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33);
constexpr std::size_t kFrameHeader = 9;
constexpr unsigned char kSettingsFrame = 4;
// RFC 8446: a TLS record that says that the hello was none.
constexpr unsigned char kTlsAlert = 21;

struct AddressesFree {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};

using Addresses = std::unique_ptr<addrinfo, AddressesFree>;

Addresses Resolve(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  if (address.starts_with("unix:") || colon == std::string::npos) {
    return nullptr;
  }
  std::string host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), address.c_str() + colon + 1, &hints, &found);
  return Addresses(error == 0 ? found : nullptr);
}

bool WaitFor(int socket, short what, Milliseconds limit) {
  pollfd wait{.fd = socket, .events = what, .revents = 0};
  return ::poll(&wait, 1, static_cast<int>(limit.count())) == 1;
}

Fd Connect(const addrinfo& to, Milliseconds limit) {
  Fd socket(::socket(to.ai_family, to.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, to.ai_protocol));
  if (!socket) {
    return socket;
  }
  int error = ::connect(socket.get(), to.ai_addr, to.ai_addrlen) == 0 ? 0 : errno;
  if (error == EINPROGRESS && WaitFor(socket.get(), POLLOUT, limit)) {
    socklen_t size = sizeof(error);
    ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  }
  return error == 0 ? std::move(socket) : Fd();
}

Status NotPlain(const std::string& address, const char* what) {
  return InvalidArgument("the server at " + address + " " + what +
                         "; it seems to want TLS: give --tls-ca FILE (TYLLM_TLS_CA)");
}

}  // namespace

Status ProbePlain(const std::string& address, Milliseconds limit) {
  const Addresses addresses = Resolve(address);
  if (!addresses) {
    return OkStatus();
  }
  const Fd socket = Connect(*addresses, limit);
  if (!socket || ::send(socket.get(), kGreeting.data(), kGreeting.size(), MSG_NOSIGNAL) !=
                     static_cast<ssize_t>(kGreeting.size())) {
    return OkStatus();
  }
  std::array<unsigned char, kFrameHeader> answer{};
  if (!WaitFor(socket.get(), POLLIN, limit)) {
    return OkStatus();
  }
  const ssize_t got = ::recv(socket.get(), answer.data(), answer.size(), 0);
  if (got > 0 && answer[0] == kTlsAlert) {
    return NotPlain(address, "answers with a TLS alert");
  }
  if (got <= 0) {
    return NotPlain(address, "closed a connection that is not encrypted");
  }
  const bool http2 = got >= 4 && answer[3] == kSettingsFrame;
  return http2 ? OkStatus() : NotPlain(address, "does not answer as a gRPC server");
}

}  // namespace tyllm::client
