// SPDX-License-Identifier: Apache-2.0
#include "client/cli/session.h"

#include <algorithm>
#include <utility>

namespace tyllm::client {

namespace {

constexpr std::int64_t kForEver = 10LL * 365 * 86'400;  // seconds

}  // namespace

Session::Session(Address address, const Clock& clock, std::stop_token stop)
    : address_(std::move(address)), clock_(clock), stop_(std::move(stop)) {}

std::vector<cli::Option> Session::GlobalOptions() {
  return {
      {"--server", "HOST:PORT", "the farm's server (or environment variable TYLLM_SERVER)",
       &address_.server},
      {"--patience", "SECONDS", "how long to try again while the server does not answer",
       &patience_seconds_},
      {"--tls-ca", "FILE",
       "PEM file of the authority that vouches for the server: encrypts the connection",
       &address_.security.tls.ca},
      {"--tls-cert", "FILE", "PEM file of this client's certificate",
       &address_.security.tls.certificate},
      {"--tls-key", "FILE", "PEM file of its key", &address_.security.tls.key},
      {"--insecure", "", "no encryption although the server is on another machine",
       &address_.security.insecure},
  };
}

Result<std::unique_ptr<Farm>> Session::Connect() const {
  if (address_.server.empty()) {
    return InvalidArgument(
        "no server is named; give --server HOST:PORT or set the environment variable TYLLM_SERVER");
  }
  if (patience_seconds_ < 0) {
    return InvalidArgument("--patience is " + std::to_string(patience_seconds_) +
                           ", expected 0 or more seconds");
  }
  const std::int64_t seconds = std::min(patience_seconds_, kForEver);
  return client::Connect(address_, clock_, Milliseconds(1000 * seconds));
}

std::string Session::CommandLine() const {
  const wire::TlsFiles& tls = address_.security.tls;
  std::string command = "tyllm-client --server " + address_.server;
  for (const auto& [option, file] :
       {std::pair("--tls-ca", &tls.ca), std::pair("--tls-cert", &tls.certificate),
        std::pair("--tls-key", &tls.key)}) {
    command += file->empty() ? "" : std::string(" ") + option + " " + *file;
  }
  return command + (address_.security.insecure ? " --insecure" : "");
}

Result<domain::JobId> ParseJob(const std::string& text) {
  return domain::JobId::Parse(text).Annotate("job");
}

}  // namespace tyllm::client
