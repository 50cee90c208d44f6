// SPDX-License-Identifier: Apache-2.0
#include "server/core/count_farm.h"

#include <algorithm>

namespace tyllm::server::core {

boost::asio::awaitable<Result<FarmCounts>> CountFarm(Farm& farm) {
  const std::int64_t now = farm.parts.clock.UnixMillis();
  FarmCounts counts;
  TYLLM_CO_ASSIGN(
      const store::TaskCounts tasks,
      co_await farm.parts.store.Look([&](store::Queue& queue) -> Result<store::TaskCounts> {
        TYLLM_ASSIGN(counts.jobs, queue.CountJobs());
        return queue.CountTasks(now);
      }));
  counts.tasks = tasks.by_state;
  if (tasks.oldest_due_ms) {
    counts.oldest_due_age_ms = std::max<std::int64_t>(0, now - *tasks.oldest_due_ms);
  }
  co_return counts;
}

}  // namespace tyllm::server::core
