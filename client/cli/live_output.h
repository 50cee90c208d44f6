// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <stop_token>
#include <string_view>

#include "common/cli/command.h"

namespace tyllm::client {

/// Standard output of a command that prints as long as something happens: when nobody reads it any
/// more, or it cannot be written, the command is to end. One thread writes.
class LiveOutput {
 public:
  /// `stop` ends the command, too.
  explicit LiveOutput(std::stop_token stop);

  /// Written out at once; nothing after a failure.
  void Write(std::string_view text);

  /// What the command's calls are to listen to.
  std::stop_token stop() const { return ended_.get_token(); }

  bool failed() const { return error_ != 0; }

  /// After a failure: `gone` when the reader has gone away, which is his right; else the error is
  /// reported, kFailed.
  cli::ExitCode Report(cli::ExitCode gone, bool json) const;

 private:
  std::stop_source ended_;
  std::stop_callback<std::function<void()>> outer_;
  int error_ = 0;  ///< errno of the write that failed
};

}  // namespace tyllm::client
