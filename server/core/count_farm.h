// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/domain/states.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

/// How much there is, for metrics.
struct FarmCounts {
  std::map<domain::JobState, std::int64_t> jobs;
  std::map<domain::TaskState, std::int64_t> tasks;  ///< of jobs that have not ended
  std::int64_t oldest_due_age_ms = 0;  ///< how long the oldest queued task has been due
};

boost::asio::awaitable<Result<FarmCounts>> CountFarm(Farm& farm);

}  // namespace tyllm::server::core
