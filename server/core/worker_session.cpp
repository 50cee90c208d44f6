// SPDX-License-Identifier: Apache-2.0
#include "server/core/worker_session.h"

#include <algorithm>

namespace tyllm::server::core {

namespace {

constexpr std::size_t kLongestName = 64;
constexpr std::size_t kMostHeld = 1024;
constexpr std::int32_t kMostSlots = 256;
constexpr std::size_t kMostTrees = 256;

Status CheckName(const char* field, const std::string& name) {
  const bool printable =
      std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c <= '~'; });
  if (!name.empty() && name.size() <= kLongestName && printable) {
    return OkStatus();
  }
  return InvalidArgument(std::string(field) + " is '" + name.substr(0, kLongestName) +
                         "', expected 1 to 64 printable ASCII characters without spaces");
}

// What a person has decided about the worker, from the queue.
Result<domain::ModeOrder> StartSession(store::Queue& queue, const domain::SyncRequest& request,
                                       std::int64_t now) {
  TYLLM_TRY(queue.StartSession(request.from, request.capabilities, now));
  TYLLM_ASSIGN(const std::vector<store::WorkerRecord> workers, queue.ListWorkers());
  const auto it = std::find_if(
      workers.begin(), workers.end(),
      [&](const store::WorkerRecord& worker) { return worker.name == request.from.worker; });
  return it == workers.end() ? domain::ModeOrder{} : it->order;
}

// The one that is known is kept while nothing has changed: snapshots share it.
std::shared_ptr<const sched::WorkerState> StateOf(const domain::SyncRequest& request,
                                                  std::shared_ptr<const sched::WorkerState> known) {
  sched::WorkerState state{.name = request.from.worker,
                           .capabilities = request.capabilities,
                           .trees = {request.cached_trees.begin(), request.cached_trees.end()}};
  if (known != nullptr && known->capabilities == state.capabilities &&
      known->trees == state.trees) {
    return known;
  }
  return std::make_shared<const sched::WorkerState>(std::move(state));
}

}  // namespace

Status CheckSync(const domain::SyncRequest& request) {
  TYLLM_TRY(CheckName("worker", request.from.worker));
  TYLLM_TRY(CheckName("session", request.from.session));
  const std::int32_t slots = request.capabilities.slots;
  if (slots < 0 || slots > kMostSlots) {
    return InvalidArgument("capabilities.slots is " + std::to_string(slots) +
                           ", expected 0 to 256");
  }
  if (request.held.size() > kMostHeld) {
    return InvalidArgument("held has " + std::to_string(request.held.size()) +
                           " attempts, expected at most 1024");
  }
  if (request.cached_trees.size() > kMostTrees) {
    return InvalidArgument("cached_trees has " + std::to_string(request.cached_trees.size()) +
                           " trees, expected at most 256");
  }
  return request.wait_ms >= 0 ? OkStatus()
                              : InvalidArgument("wait_ms is " + std::to_string(request.wait_ms) +
                                                ", expected 0 or more");
}

boost::asio::awaitable<Result<bool>> NoteCall(Farm& farm, const domain::SyncRequest& request) {
  const Clock& clock = farm.parts.clock;
  const Fleet::Member* const known = farm.fleet.Find(request.from.worker);
  if (known == nullptr || known->session != request.from.session) {
    const std::int64_t now = clock.UnixMillis();
    TYLLM_CO_ASSIGN(const domain::ModeOrder order,
                    co_await farm.parts.store.Run(
                        [&](store::Queue& queue) { return StartSession(queue, request, now); }));
    farm.fleet.Begin(request.from, order, clock.Now());
  }
  const auto& state = farm.fleet.Find(request.from.worker)->state;
  const bool has_new_tools =
      !request.capabilities.tools.empty() &&
      (state == nullptr || state->capabilities.tools != request.capabilities.tools);
  farm.fleet.Hear(request.from.worker, StateOf(request, state), request.draining, clock);
  co_return has_new_tools;
}

}  // namespace tyllm::server::core
