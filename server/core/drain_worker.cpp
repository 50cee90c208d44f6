// SPDX-License-Identifier: Apache-2.0
#include "server/core/drain_worker.h"

namespace tyllm::server::core {

boost::asio::awaitable<Status> DrainWorker(Farm& farm, std::string worker, bool drain) {
  TYLLM_CO_TRY(co_await farm.parts.store.Run(
      [&](store::Queue& queue) { return queue.SetDrained(worker, drain); }));
  if (farm.fleet.Find(worker) != nullptr) {
    farm.fleet.At(worker).drained = drain;
  }
  farm.signals.Notify(Topic::Work());
  co_return OkStatus();
}

}  // namespace tyllm::server::core
