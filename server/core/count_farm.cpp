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
        TYLLM_ASSIGN(const std::vector<std::string> broken, queue.FindViolations());
        counts.violations = static_cast<std::int64_t>(broken.size());
        return queue.CountTasks(now);
      }));
  counts.tasks = tasks.by_state;
  for (const auto& [job_class, name] : domain::kJobClassNames.rows()) {
    const auto oldest = tasks.oldest_due_ms.find(job_class);
    counts.oldest_due_age_ms[job_class] =
        oldest == tasks.oldest_due_ms.end() ? 0 : std::max<std::int64_t>(0, now - oldest->second);
  }
  co_return counts;
}

}  // namespace tyllm::server::core
