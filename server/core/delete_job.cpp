// SPDX-License-Identifier: Apache-2.0
#include "server/core/delete_job.h"

#include "server/core/change_log.h"
#include "server/core/once.h"

namespace tyllm::server::core {

boost::asio::awaitable<Result<Deleted>> DeleteJob(Farm& farm, domain::JobChange change) {
  TYLLM_CO_TRY(CheckRequestId(change.request_id, false));
  const std::int64_t now = farm.parts.clock.UnixMillis();
  const Asked asked = AskedOf(change.request_id, "DeleteJob", change.job.ToString());
  std::vector<domain::TaskId> tasks;
  bool changed = false;
  const Status done = co_await farm.parts.store.Run([&](store::Queue& queue) {
    tasks.clear();
    changed = false;
    return MakeOnce(queue, asked, change.job, now, [&]() -> Status {
      TYLLM_TRY(CheckEtag(queue, change));
      TYLLM_ASSIGN(tasks, queue.DeleteJob(change.job));
      changed = true;
      return OkStatus();
    });
  });
  TYLLM_CO_TRY(done);
  if (changed) {
    LogChange(farm, "job deleted", {"job", change.job.ToString()}, change.by);
  }
  co_await RemoveLogs(farm, std::move(tasks));
  farm.signals.Notify(Topic::Of(change.job));
  co_return Deleted{};
}

boost::asio::awaitable<void> RemoveLogs(Farm& farm, std::vector<domain::TaskId> tasks) {
  for (const domain::TaskId task : tasks) {
    // A log that stays behind does no harm: RemoveOrphanedLogs finds it.
    static_cast<void>(co_await farm.parts.logs.Remove(task));
    farm.signals.Notify(Topic::LogOf(task));
  }
}

}  // namespace tyllm::server::core
