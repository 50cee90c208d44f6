// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

/// An attempt that is over without result.
struct Ended {
  store::HeldTask task;  ///< as the queue has it
  sched::Ending ending = sched::Ending::kFailed;
  std::optional<domain::Failure> reported;  ///< with kFailed
};

/// Judges and records them, with the last lines of their logs where the worker has not said them;
/// tells who waits. Attempts that ended otherwise meanwhile are left as
/// they are. Those that were being cancelled are cancelled, however they ended.
boost::asio::awaitable<Status> EndAttempts(Farm& farm, std::vector<Ended> ended);

/// What is to be done whenever an attempt is no more, however it ended.
void AttemptIsOver(Farm& farm, const store::HeldTask& task);

}  // namespace tyllm::server::core
