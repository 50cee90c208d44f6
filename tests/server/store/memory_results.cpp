// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "tests/server/store/memory_queue.h"

namespace tyllm::server::store {

namespace {

bool IsWithin(const domain::ResultSelection& which, std::int64_t at_ms) {
  return at_ms >= which.made_from_unix_ms &&
         (which.made_before_unix_ms == 0 || at_ms < which.made_before_unix_ms);
}

bool IsBy(const domain::ResultSelection& which, const std::string& worker,
          const std::string& toolchain) {
  return (which.worker.empty() || which.worker == worker) &&
         (which.toolchain_version.empty() || which.toolchain_version == toolchain);
}

}  // namespace

bool MemoryQueue::IsMaker(const domain::ResultSelection& which, TaskId maker) const {
  const auto made = [&](const Task& task) { return task.made_by.value_or(task.view.id) == maker; };
  const auto of_job = [&](const auto& entry) {
    return entry.second.job == *which.job && made(entry.second);
  };
  const auto of_task = [&](const auto& entry) {
    return entry.first == *which.task && made(entry.second);
  };
  return (!which.job || std::ranges::any_of(state_.tasks, of_job)) &&
         (!which.task || std::ranges::any_of(state_.tasks, of_task));
}

// All at once, whatever the limit, which is then as if it had been larger.
Result<ResultsLookedAt> MemoryQueue::LookAtResults(const domain::ResultSelection& which,
                                                   std::int64_t after, std::int64_t /*limit*/,
                                                   bool forget) {
  ResultsLookedAt looked;
  if (after > 0 || state_.actions.empty()) {
    return looked;
  }
  looked.last = 1;
  std::erase_if(state_.actions, [&](const auto& entry) {
    const TaskId maker = entry.second.task;
    if (!IsMaker(which, maker)) {
      return false;
    }
    const auto task = state_.tasks.find(maker);
    const bool known = task != state_.tasks.end();
    if (!known && !which.unknown_maker) {
      ++looked.unknown;
      return false;
    }
    if (known) {
      const Attempt& last = task->second.attempts.back();
      if (!IsBy(which, last.worker, last.toolchain) || !IsWithin(which, last.ended_ms)) {
        return false;
      }
    }
    ++looked.fit;
    return forget;
  });
  return looked;
}

Result<std::int64_t> MemoryQueue::LookAtUnfinished(const domain::ResultSelection& which,
                                                   bool forget) {
  std::int64_t fit = 0;
  std::erase_if(state_.checkpoints, [&](const auto& entry) {
    const KeptCheckpoint& kept = entry.second;
    const auto task = state_.tasks.find(kept.task);
    const bool fits =
        task == state_.tasks.end()
            ? which.unknown_maker
            : IsWithin(which, kept.at_ms) &&
                  std::ranges::any_of(task->second.attempts, [&](const Attempt& attempt) {
                    return IsBy(which, attempt.worker, attempt.toolchain);
                  });
    if (!fits || !IsMaker(which, kept.task)) {
      return false;
    }
    ++fit;
    return forget;
  });
  return fit;
}

}  // namespace tyllm::server::store
