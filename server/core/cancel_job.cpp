// SPDX-License-Identifier: Apache-2.0
#include "server/core/cancel_job.h"

#include "server/core/change_log.h"
#include "server/core/get_job.h"
#include "server/core/once.h"

namespace tyllm::server::core {

boost::asio::awaitable<Result<domain::JobView>> CancelJob(Farm& farm, domain::JobChange change) {
  TYLLM_CO_TRY(CheckRequestId(change.request_id, false));
  const std::int64_t now = farm.parts.clock.UnixMillis();
  const Asked asked = AskedOf(change.request_id, "CancelJob", change.job.ToString());
  std::vector<domain::JobId> heirs;
  bool changed = false;
  const Status done = co_await farm.parts.store.Run([&](store::Queue& queue) {
    heirs.clear();
    changed = false;
    return MakeOnce(queue, asked, change.job, now, [&]() -> Status {
      TYLLM_TRY(CheckEtag(queue, change));
      TYLLM_ASSIGN(heirs, queue.CancelJob(change.job, change.by, now));
      changed = true;
      return OkStatus();
    });
  });
  TYLLM_CO_TRY(done);
  if (changed) {
    LogChange(farm, "cancellation asked for", {"job", change.job.ToString()}, change.by);
  }
  for (const domain::JobId heir : heirs) {
    farm.signals.Notify(Topic::Of(heir));
  }
  farm.signals.Notify(Topic::Of(change.job));
  farm.signals.Notify(Topic::Work());  // workers that hold its tasks learn it now
  co_return co_await ReadJob(farm, change.job);
}

}  // namespace tyllm::server::core
