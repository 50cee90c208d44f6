// SPDX-License-Identifier: Apache-2.0
#include "server/sched/placement.h"

#include <algorithm>
#include <tuple>

namespace tyllm::server::sched {

namespace {

template <typename T>
bool Contains(const std::vector<T>& all, const T& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

/// How well a worker suits a task; larger is better.
using Suits = std::tuple<bool, int, std::int64_t>;

// Bytes of the task's inputs that need not go to the worker; an empty tree counts for something.
std::int64_t BytesThere(const WorkerState& worker, const Candidate& task) {
  std::int64_t bytes = 0;
  for (std::size_t i = 0; i < task.inputs.size(); ++i) {
    if (worker.trees.contains(task.inputs[i])) {
      bytes += task.input_bytes.empty() ? 1 : std::max<std::int64_t>(1, task.input_bytes[i]);
    }
  }
  return bytes;
}

Suits SuitsOf(const WorkerState& worker, const Needs& needs, const Candidate& task) {
  return {!Contains(task.failed_on, worker.name), PreferencesMet(worker.capabilities, needs),
          BytesThere(worker, task)};
}

bool MayTake(const Asking& asking, const Online& other, const Needs& needs, const Candidate& task) {
  return other.worker != asking.worker && other.takes_work &&
         !HasSpoilt(other.worker->name, task) && CanTake(other.worker->capabilities, needs);
}

// Somebody else may have better luck with it.
bool SpoiltHereOnly(const Asking& asking, const Needs& needs, const Candidate& task) {
  return HasSpoilt(asking.worker->name, task) &&
         std::any_of(asking.online->begin(), asking.online->end(),
                     [&](const Online& other) { return MayTake(asking, other, needs, task); });
}

bool SuitsAnotherBetter(const Asking& asking, const Needs& needs, const Candidate& task) {
  const Suits here = SuitsOf(*asking.worker, needs, task);
  return std::any_of(asking.online->begin(), asking.online->end(), [&](const Online& other) {
    return HasRoom(other, needs) && MayTake(asking, other, needs, task) &&
           SuitsOf(*other.worker, needs, task) > here;
  });
}

}  // namespace

bool HasSpoilt(const std::string& worker, const Candidate& task) {
  return Contains(task.lost_by, worker) || Contains(task.spoilt_by, worker);
}

bool HasRoom(const Online& worker, const Needs& needs) {
  return worker.free_slots > 0 && HasRoom(worker.worker->capabilities, worker.used, needs);
}

bool IsLeftToLargerGpu(const Asking& asking, const Needs& needs, const Candidate& task,
                       std::int64_t expected, std::int64_t now, const Policy& policy) {
  const std::int64_t here = asking.worker->capabilities.gpu_memory_bytes;
  if (here == 0 || here >= expected || now - task.due_ms >= policy.larger_gpu_wait.count()) {
    return false;
  }
  return std::any_of(asking.online->begin(), asking.online->end(), [&](const Online& other) {
    return other.worker->capabilities.gpu_memory_bytes >= expected &&
           MayTake(asking, other, needs, task);
  });
}

std::optional<std::size_t> Pick(const Asking& asking, const Needs& needs,
                                std::span<const Candidate> candidates, std::int64_t now,
                                const Policy& policy) {
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const Candidate& task = candidates[i];
    if (Contains(asking.held, task.id) || SpoiltHereOnly(asking, needs, task)) {
      continue;
    }
    const bool may_wait = now - task.due_ms < policy.placement_wait.count();
    if (!may_wait || !SuitsAnotherBetter(asking, needs, task)) {
      return i;
    }
  }
  return std::nullopt;
}

}  // namespace tyllm::server::sched
