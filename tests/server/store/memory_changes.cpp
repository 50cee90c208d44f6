// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "tests/server/store/memory_queue.h"

// What people change of jobs, and jobs that are given up.
namespace tyllm::server::store {

using domain::TaskState;

Status MemoryQueue::NoteChange(JobId id, const std::string& /*text*/, const std::string& by,
                               std::int64_t now) {
  TYLLM_TRY(GetJob(id).status());
  Job& job = state_.jobs[id];
  if (IsFinal(job.view.state)) {
    return FailedPrecondition("over");
  }
  const std::size_t first = job.events.size();
  Tell(job, nullptr, now, by);
  Follow(job, first, now);
  return OkStatus();
}

bool MemoryQueue::HasBegun(const Task& task) {
  const bool waits =
      task.view.state == TaskState::kWaiting || task.view.state == TaskState::kQueued;
  return !task.kept && (!waits || task.view.attempt > 0);
}

Result<std::vector<JobId>> MemoryQueue::Unstarted(std::int64_t now, std::int64_t created_from,
                                                  std::int64_t limit) {
  std::vector<std::pair<std::int64_t, JobId>> found;
  for (const auto& [id, job] : state_.jobs) {
    const std::int64_t start_by = job.view.start_by_unix_ms;
    if (start_by != 0 && start_by <= now && job.view.created_unix_ms >= created_from) {
      found.emplace_back(start_by, id);
    }
  }
  std::sort(found.begin(), found.end());
  std::vector<JobId> ids;
  for (const auto& [start_by, id] : found) {
    if (static_cast<std::int64_t>(ids.size()) < limit) {
      ids.push_back(id);
    }
  }
  return ids;
}

Result<bool> MemoryQueue::GiveUp(JobId id, const domain::Failure& failure, std::int64_t now) {
  TYLLM_TRY(GetJob(id).status());
  Job& job = state_.jobs[id];
  if (job.view.start_by_unix_ms == 0 || job.view.start_by_unix_ms > now) {
    return false;
  }
  const std::size_t first = job.events.size();
  std::vector<Task*> queued;
  for (const TaskId task_id : job.tasks) {
    Task& task = state_.tasks[task_id];
    if (task.view.state != TaskState::kQueued) {
      continue;
    }
    queued.push_back(&task);
    if (HasResult(task) || (task.use_cache && FindRunning(*task.key)->has_value())) {
      job.view.start_by_unix_ms = 0;
      Tell(job, nullptr, now);
      Follow(job, first, now);
      return false;
    }
  }
  for (Task* const task : queued) {
    task->view.state = task == queued.front() ? TaskState::kFailed : TaskState::kCancelled;
    task->view.ended_unix_ms = now;
    if (task == queued.front()) {
      task->view.failure = failure;
    }
    Tell(job, task, now);
  }
  job.view.failure = failure;
  Follow(job, first, now);
  return true;
}

}  // namespace tyllm::server::store
