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
  /// How long the oldest queued task of each class of jobs has been due; 0 of one without.
  std::map<domain::JobClass, std::int64_t> oldest_due_age_ms;
  std::int64_t violations = 0;  ///< rows that break a rule of the queue (Queue::FindViolations)
};

boost::asio::awaitable<Result<FarmCounts>> CountFarm(Farm& farm);

}  // namespace tyllm::server::core
