// SPDX-License-Identifier: Apache-2.0
#include "client/cli/live_output.h"

#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

namespace tyllm::client {

LiveOutput::LiveOutput(std::stop_token stop)
    : outer_(std::move(stop), [this] { ended_.request_stop(); }) {}

void LiveOutput::Write(std::string_view text) {
  if (failed()) {
    return;
  }
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    error_ = errno != 0 ? errno : EIO;
    ended_.request_stop();
  }
}

cli::ExitCode LiveOutput::Report(cli::ExitCode gone, bool json) const {
  if (error_ == EPIPE) {
    return gone;
  }
  cli::ReportError(ResourceExhausted("standard output cannot be written: " +
                                     std::generic_category().message(error_)),
                   json);
  return cli::ExitCode::kFailed;
}

}  // namespace tyllm::client
