// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "client/api/connect.h"
#include "common/cli/command.h"

namespace tyllm::client {

/// What the commands of one run of tyllm-client share.
class Session {
 public:
  /// `address` holds the defaults (from the environment).
  Session(Address address, const Clock& clock, std::stop_token stop);

  /// --server and the TLS files; bound to this object.
  std::vector<cli::Option> GlobalOptions();
  Result<std::unique_ptr<Farm>> Connect() const;

  /// How a person calls this program for the same server: "tyllm-client --server HOST:PORT" and the
  /// files of TLS.
  std::string CommandLine() const;

  const Clock& clock() const { return clock_; }

  /// Requested by Ctrl-C.
  const std::stop_token& stop() const { return stop_; }

 private:
  Address address_;
  std::int64_t patience_seconds_ = 60;
  const Clock& clock_;
  std::stop_token stop_;
};

/// "j42", as an argument.
Result<domain::JobId> ParseJob(const std::string& text);

}  // namespace tyllm::client
