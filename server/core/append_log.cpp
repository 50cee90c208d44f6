// SPDX-License-Identifier: Apache-2.0
#include "server/core/append_log.h"

namespace tyllm::server::core {

using telemetry::Metric;

boost::asio::awaitable<Result<std::int64_t>> AppendLog(Farm& farm, domain::LogAppend append) {
  if (static_cast<std::int64_t>(append.data.size()) > farm.parts.limits.largest_log_append) {
    co_return InvalidArgument(
        "data has " + std::to_string(append.data.size()) + " bytes, expected at most " +
        std::to_string(farm.parts.limits.largest_log_append) + "; send it in pieces");
  }
  TYLLM_CO_ASSIGN(const std::optional<store::HeldTask> held,
                  co_await farm.parts.store.Look(
                      [&](store::Queue& queue) { return queue.FindHeld(append.id); }));
  if (!held || held->holder != append.from) {
    farm.parts.metrics.Count(Metric::kFencedCalls, {"WorkerService.AppendLog"});
    co_return Aborted(append.id.ToString() + " does not belong to worker '" + append.from.worker +
                      "' any more; stop it, its log is not wanted");
  }
  const auto bytes = static_cast<std::int64_t>(append.data.size());
  TYLLM_CO_ASSIGN(const std::int64_t size, co_await farm.parts.logs.Append(append.id, append.offset,
                                                                           std::move(append.data)));
  farm.parts.metrics.Count(Metric::kLogBytes, {}, static_cast<double>(bytes));
  farm.signals.Notify(Topic::LogOf(append.id.task));
  co_return size;
}

}  // namespace tyllm::server::core
