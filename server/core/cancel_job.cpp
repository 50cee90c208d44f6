// SPDX-License-Identifier: Apache-2.0
#include "server/core/cancel_job.h"

#include "server/core/get_job.h"

namespace tyllm::server::core {

boost::asio::awaitable<Result<domain::JobView>> CancelJob(Farm& farm, domain::JobId job) {
  const std::int64_t now = farm.parts.clock.UnixMillis();
  TYLLM_CO_ASSIGN(const std::vector<domain::JobId> heirs,
                  co_await farm.parts.store.Run(
                      [&](store::Queue& queue) { return queue.CancelJob(job, now); }));
  for (const domain::JobId heir : heirs) {
    farm.signals.Notify(Topic::Of(heir));
  }
  farm.signals.Notify(Topic::Of(job));
  farm.signals.Notify(Topic::Work());  // workers that hold its tasks learn it now
  co_return co_await ReadJob(farm, job);
}

}  // namespace tyllm::server::core
