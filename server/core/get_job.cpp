// SPDX-License-Identifier: Apache-2.0
#include "server/core/get_job.h"

namespace tyllm::server::core {

boost::asio::awaitable<Result<domain::JobView>> GetJob(Farm& farm, domain::JobId job) {
  Result<domain::JobView> view =
      co_await farm.parts.store.Run([&](store::Queue& queue) { return queue.GetJob(job); });
  if (view.ok()) {
    farm.attempts.AddProgress(*view);
  }
  co_return view;
}

}  // namespace tyllm::server::core
