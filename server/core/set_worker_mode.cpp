// SPDX-License-Identifier: Apache-2.0
#include "server/core/set_worker_mode.h"

#include <algorithm>

#include "server/core/change_log.h"
#include "server/core/list_workers.h"
#include "server/core/once.h"

namespace tyllm::server::core {

namespace {

constexpr std::size_t kLongestReason = 256;

}  // namespace

boost::asio::awaitable<Result<domain::WorkerView>> SetWorkerMode(Farm& farm, WorkerOrder order) {
  if (order.order.reason.size() > kLongestReason) {
    co_return InvalidArgument("reason has " + std::to_string(order.order.reason.size()) +
                              " bytes, expected at most 256");
  }
  TYLLM_CO_TRY(CheckRequestId(order.request_id, false));
  const std::int64_t now = farm.parts.clock.UnixMillis();
  const Asked asked =
      AskedOf(order.request_id, "SetWorkerMode",
              order.worker + "\n" + std::string(domain::kWorkerModeNames.Name(order.order.mode)) +
                  "\n" + order.order.reason);
  bool changed = false;
  const Status done = co_await farm.parts.store.Run([&](store::Queue& queue) {
    changed = false;
    return MakeOnce(queue, asked, std::nullopt, now, [&] {
      changed = true;
      return queue.SetWorkerMode(order.worker, order.order);
    });
  });
  TYLLM_CO_TRY(done);
  if (changed) {
    LogChange(farm, "worker set to " + std::string(domain::kWorkerModeNames.Name(order.order.mode)),
              {"worker", order.worker}, order.order.by);
  }
  if (changed && farm.fleet.Find(order.worker) != nullptr) {
    farm.fleet.SetOrder(order.worker, order.order, farm.parts.clock.Now());
  }
  farm.signals.Notify(Topic::Work());
  TYLLM_CO_ASSIGN(const std::vector<domain::WorkerView> workers, co_await ListWorkers(farm));
  const auto it =
      std::find_if(workers.begin(), workers.end(),
                   [&](const domain::WorkerView& worker) { return worker.name == order.worker; });
  if (it == workers.end()) {
    co_return NotFound("worker '" + order.worker + "' has gone");
  }
  co_return *it;
}

}  // namespace tyllm::server::core
