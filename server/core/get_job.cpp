// SPDX-License-Identifier: Apache-2.0
#include "server/core/get_job.h"

#include "common/domain/job_changes.h"
#include "server/core/explain.h"

namespace tyllm::server::core {

boost::asio::awaitable<Result<domain::JobView>> ReadJob(Farm& farm, domain::JobId job) {
  Result<domain::JobView> view =
      co_await farm.parts.store.Look([&](store::Queue& queue) { return queue.GetJob(job); });
  if (view.ok()) {
    farm.attempts.AddProgress(*view);
    view->etag = domain::EtagOf(*view);
  }
  co_return view;
}

boost::asio::awaitable<Result<domain::JobView>> GetJob(Farm& farm, domain::JobId job) {
  Result<domain::JobView> view = co_await ReadJob(farm, job);
  if (view.ok()) {
    TYLLM_CO_TRY(co_await AddPending(farm, *view));
  }
  co_return view;
}

}  // namespace tyllm::server::core
