// SPDX-License-Identifier: Apache-2.0
#include "server/core/wait_job.h"

#include <algorithm>

#include "server/core/get_job.h"

namespace tyllm::server::core {

boost::asio::awaitable<Result<domain::JobView>> WaitJob(Farm& farm, domain::WaitRequest request) {
  if (request.timeout_ms < 0 || request.after_event < 0) {
    co_return InvalidArgument("timeout_ms is " + std::to_string(request.timeout_ms) +
                              " and after_event " + std::to_string(request.after_event) +
                              ", expected numbers from 0 on");
  }
  Signals::Subscription changes(farm.signals, Topic::Of(request.job));
  const Milliseconds wait = std::min(Milliseconds(request.timeout_ms), kLongestJobWait);
  const Clock::Steady until = farm.parts.clock.Now() + wait;
  while (true) {
    TYLLM_CO_ASSIGN(const domain::JobView job, co_await ReadJob(farm, request.job));
    const bool has_news = request.after_event > 0 && job.last_event > request.after_event;
    const auto left = std::chrono::duration_cast<Milliseconds>(until - farm.parts.clock.Now());
    if (IsFinal(job.state) || has_news || left.count() <= 0) {
      co_return job;
    }
    const bool woken = co_await changes.Wait(left);
    if (!woken) {
      co_return co_await ReadJob(farm, request.job);
    }
  }
}

}  // namespace tyllm::server::core
