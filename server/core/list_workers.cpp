// SPDX-License-Identifier: Apache-2.0
#include "server/core/list_workers.h"

namespace tyllm::server::core {

namespace {

struct Found {
  std::vector<store::WorkerRecord> workers;
  std::vector<store::HeldTask> held;
};

Result<Found> Find(store::Queue& queue) {
  Found found;
  TYLLM_ASSIGN(found.workers, queue.ListWorkers());
  TYLLM_ASSIGN(found.held, queue.AllHeld());
  return found;
}

std::optional<domain::Bench> BenchOf(const Farm& farm, const Fleet::Member& member) {
  if (!member.benched) {
    return std::nullopt;
  }
  const auto left =
      sched::BenchedUntil(member.trouble, farm.parts.limits.policy) - farm.parts.clock.Now();
  return domain::Bench{.failures = member.trouble.failures,
                       .reason = member.trouble.reason,
                       .until_unix_ms = farm.parts.clock.UnixMillis() +
                                        std::chrono::duration_cast<Milliseconds>(left).count()};
}

}  // namespace

boost::asio::awaitable<Result<std::vector<domain::WorkerView>>> ListWorkers(Farm& farm) {
  TYLLM_CO_ASSIGN(const Found found, co_await farm.parts.store.Look(Find));
  const Clock::Steady alive_since = farm.parts.clock.Now() - farm.parts.limits.policy.Presence();
  std::vector<domain::WorkerView> views;
  for (const store::WorkerRecord& worker : found.workers) {
    domain::WorkerView view{.name = worker.name,
                            .capabilities = worker.capabilities,
                            .order = worker.order,
                            .last_seen_unix_ms = worker.last_seen_unix_ms,
                            .tasks = {},
                            .session = worker.session};
    for (const store::HeldTask& task : found.held) {
      if (task.holder.worker == worker.name) {
        view.tasks.push_back(task.id.task);
      }
    }
    if (const Fleet::Member* const member = farm.fleet.Find(worker.name)) {
      view.capabilities = member->state->capabilities;
      view.online = farm.fleet.IsThere(worker.name, !view.tasks.empty(), alive_since);
      view.last_seen_unix_ms = member->seen_unix_ms;
      view.bench = BenchOf(farm, *member);
    }
    views.push_back(std::move(view));
  }
  co_return views;
}

}  // namespace tyllm::server::core
