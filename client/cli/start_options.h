// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "client/api/farm.h"
#include "common/cli/command.h"

namespace tyllm::client {

/// What a person says of a job that cannot start.
struct StartOptions {
  std::optional<std::string> within;
  bool refuse_if_no_worker = false;

  /// Bound to this object.
  void AddTo(cli::CommandSpec& spec);
  /// Into the request; a server that does not know what is asked for is kFailedPrecondition: it
  /// would let the job wait.
  Status Apply(Farm& farm, domain::JobSpec& spec, const std::stop_token& stop) const;
};

/// "90s", "10m", "2h", "1d"; a number alone is seconds. In milliseconds, more than 0.
Result<std::int64_t> ParseTimeSpan(std::string_view text);

}  // namespace tyllm::client
