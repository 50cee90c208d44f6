// SPDX-License-Identifier: Apache-2.0
// Unfinished work in the naive queue.
#include <algorithm>

#include "tests/server/store/memory_queue.h"

namespace tyllm::server::store {

using domain::TaskState;

std::optional<domain::Checkpoint> MemoryQueue::CheckpointOf(const Task& task) const {
  const auto kept = task.key ? state_.checkpoints.find(*task.key) : state_.checkpoints.end();
  if (kept == state_.checkpoints.end() || !(task.use_cache || kept->second.task == task.view.id)) {
    return std::nullopt;
  }
  return kept->second.checkpoint;
}

Status MemoryQueue::KeepCheckpoint(const AttemptId& id, const domain::Checkpoint& checkpoint,
                                   std::int64_t now) {
  TYLLM_ASSIGN(const Task* const task, Current(id));
  state_.checkpoints[*task->key] = {checkpoint, id.task, now};
  return OkStatus();
}

Status MemoryQueue::ForgetCheckpoint(TaskId id) {
  const auto task = state_.tasks.find(id);
  if (task == state_.tasks.end()) {
    return NotFound("no such task");
  }
  if (task->second.key) {
    state_.checkpoints.erase(*task->second.key);
  }
  return OkStatus();
}

Result<std::int64_t> MemoryQueue::ForgetCheckpoints(std::int64_t before) {
  return static_cast<std::int64_t>(std::erase_if(state_.checkpoints, [&](const auto& entry) {
    const bool wanted =
        std::any_of(state_.tasks.begin(), state_.tasks.end(), [&](const auto& task) {
          const TaskState state = task.second.view.state;
          return task.second.key == entry.first && (state == TaskState::kQueued || IsHeld(state));
        });
    return entry.second.at_ms < before && !wanted;
  }));
}

}  // namespace tyllm::server::store
