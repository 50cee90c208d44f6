// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "tests/server/store/memory_queue.h"

// Attempts and results.
namespace tyllm::server::store {

using domain::TaskState;

namespace {

std::string ToolchainOf(const std::map<std::string, WorkerRecord>& workers,
                        const std::string& name) {
  const auto found = workers.find(name);
  return found == workers.end() ? "" : found->second.capabilities.toolchain_version;
}

}  // namespace

bool MemoryQueue::HasResult(const Task& task) const {
  return task.use_cache && state_.actions.contains(*task.key);
}

bool MemoryQueue::Waits(const Task& task) const {
  if (!task.use_cache) {
    return false;
  }
  const auto comes_before = [&](const Task& other) {
    const auto& tasks = state_.jobs.at(task.job).tasks;
    const auto place = [&](const Task& one) {
      return std::find(tasks.begin(), tasks.end(), one.view.id);
    };
    return other.job < task.job || (other.job == task.job && place(other) < place(task));
  };
  return std::any_of(state_.tasks.begin(), state_.tasks.end(), [&](const auto& entry) {
    const Task& other = entry.second;
    if (other.key != task.key) {
      return false;
    }
    return IsHeld(other.view.state) ? !state_.actions.contains(*task.key)
                                    : other.view.state == TaskState::kQueued && other.use_cache &&
                                          other.lane == task.lane && comes_before(other);
  });
}

Result<TaskCounts> MemoryQueue::CountTasks(std::int64_t now) {
  TaskCounts counts;
  for (const auto& [id, task] : state_.tasks) {
    if (IsFinal(state_.jobs.at(task.job).view.state)) {
      continue;
    }
    ++counts.by_state[task.view.state];
    if (task.view.state == TaskState::kQueued && task.not_before <= now && !Waits(task)) {
      const std::int64_t due = std::max(task.not_before, task.view.queued_unix_ms);
      const domain::JobClass job_class = state_.jobs.at(task.job).view.spec.job_class;
      std::int64_t& oldest = counts.oldest_due_ms.try_emplace(job_class, due).first->second;
      oldest = std::min(oldest, due);
    }
  }
  return counts;
}

Result<Lease> MemoryQueue::StartAttempt(TaskId id, const WorkerSession& worker, std::int64_t now,
                                        const sched::Reasons& why) {
  TYLLM_TRY(CheckNotReplaced(worker));
  const auto it = state_.tasks.find(id);
  if (it == state_.tasks.end()) {
    return NotFound("no such task");
  }
  Task& task = it->second;
  if (task.view.state != TaskState::kQueued) {
    return Aborted("not queued");
  }
  task.view.state = TaskState::kLeased;
  ++task.view.attempt;
  task.view.worker = worker.worker;
  task.view.started_unix_ms = now;
  task.holder = worker;
  task.rate = state_.rates.contains(worker.worker) ? state_.rates[worker.worker] : 1;
  task.attempts.push_back({.worker = worker.worker,
                           .ending = std::nullopt,
                           .session = worker.session,
                           .started_ms = now,
                           .toolchain = ToolchainOf(state_.workers, worker.worker)});
  Job& job = state_.jobs[task.job];
  const std::size_t first = job.events.size();
  Tell(job, &task, now);
  Follow(job, first, now);
  TYLLM_ASSIGN(Lease lease, GetLease({id, task.view.attempt}));
  if (why.lane != 0) {
    sched::Reasons reasons = why;
    reasons.goes_on = lease.checkpoint.has_value();
    const sched::LaneKey& lane = state_.lanes[static_cast<std::size_t>(why.lane) - 1];
    TYLLM_TRY(NoteDecision(id, sched::TextOf(reasons, lease.id.attempt, worker.worker, lane), now));
  }
  return lease;
}

Result<Lease> MemoryQueue::GetLease(const AttemptId& id) {
  TYLLM_ASSIGN(Task* const task, Current(id));
  return Lease{
      id, task->job, task->view.label, task->planned.spec, InputsOf(*task), CheckpointOf(*task)};
}

Result<std::optional<HeldTask>> MemoryQueue::FindHeld(const AttemptId& id) {
  const auto task = Current(id);
  return task.ok() ? std::optional(ToHeld(**task)) : std::nullopt;
}

Result<std::vector<HeldTask>> MemoryQueue::AllHeld() {
  std::vector<HeldTask> held;
  for (const auto& [id, task] : state_.tasks) {
    if (IsHeld(task.view.state)) {
      held.push_back(ToHeld(task));
    }
  }
  return held;
}

Result<std::vector<HeldTask>> MemoryQueue::HeldBy(const std::string& worker) {
  TYLLM_ASSIGN(std::vector<HeldTask> held, AllHeld());
  std::erase_if(held, [&](const HeldTask& task) { return task.holder.worker != worker; });
  return held;
}

Status MemoryQueue::Adopt(const AttemptId& id, const std::string& session) {
  TYLLM_ASSIGN(Task* const task, Current(id));
  TYLLM_TRY(CheckNotReplaced({task->holder.worker, session}));
  task->holder.session = session;
  task->attempts.back().session = session;
  return OkStatus();
}

Result<bool> MemoryQueue::Complete(const AttemptId& id, const Completed& made, std::int64_t now) {
  TYLLM_ASSIGN(const std::optional<HeldTask> held, FindHeld(id));
  if (!held) {
    return false;
  }
  TYLLM_ASSIGN(const Lease lease, GetLease(id));
  if (held->state == domain::TaskState::kLeased) {
    TYLLM_TRY(AddTree(lease.job, made.output, made.bytes));
    state_.tasks[id.task].attempts.back().used = made.used;
  }
  TYLLM_TRY(Succeed(id, made.output,
                    domain::ActionKey(lease.spec, lease.inputs, made.toolchain_version), now));
  return true;
}

Status MemoryQueue::Succeed(const AttemptId& id, const BlobId& output, std::optional<Sha256> key,
                            std::int64_t now) {
  TYLLM_ASSIGN(Task* const task, Current(id));
  if (task->view.state == TaskState::kCancelling) {
    return EndCancelled(id, now);
  }
  Charge(*task, now);
  task->view.state = TaskState::kSucceeded;
  task->view.output = output;
  task->view.failure.reset();
  task->view.ended_unix_ms = now;
  EndLast(*task, sched::Ending::kSucceeded, now);
  state_.checkpoints.erase(*task->key);
  if (key) {
    state_.actions[*key] = {output, id.task, now};
  }
  Job& job = state_.jobs[task->job];
  const std::size_t first = job.events.size();
  Tell(job, task, now);
  Follow(job, first, now);
  return OkStatus();
}

Status MemoryQueue::EndAttempt(const AttemptId& id, sched::Ending ending,
                               const sched::Verdict& verdict, std::int64_t now) {
  TYLLM_ASSIGN(Task* const task, Current(id));
  if (task->view.state == TaskState::kCancelling) {
    return EndCancelled(id, now);
  }
  Charge(*task, now);
  EndLast(*task, ending, now, verdict.failure);
  task->attempts.back().gpu_too_small = std::max<std::int64_t>(0, verdict.needs_gpu_memory - 1);
  task->spent = verdict.spent;
  if (verdict.again && verdict.needs_gpu_memory > 0) {
    sched::LaneKey key = state_.lanes[static_cast<std::size_t>(task->lane) - 1];
    key.needs = sched::WithGpuMemory(key.needs, verdict.needs_gpu_memory);
    task->lane = LaneOf(key);
  }
  task->view.failure = verdict.failure;
  Job& job = state_.jobs[task->job];
  if (verdict.again) {
    task->view.state = TaskState::kQueued;
    task->view.queued_unix_ms = now;
    task->not_before = now + verdict.delay.count();
  } else {
    task->view.state = TaskState::kFailed;
    task->view.ended_unix_ms = now;
    if (!job.view.failure) {
      job.view.failure = verdict.failure;
    }
  }
  const std::size_t first = job.events.size();
  Tell(job, task, now);
  Follow(job, first, now);
  return OkStatus();
}

Status MemoryQueue::EndCancelled(const AttemptId& id, std::int64_t now) {
  TYLLM_ASSIGN(Task* const task, Current(id));
  if (task->view.state != TaskState::kCancelling) {
    return Aborted("not being cancelled");
  }
  Charge(*task, now);
  task->view.state = TaskState::kCancelled;
  task->view.ended_unix_ms = now;
  EndLast(*task, sched::Ending::kStopped, now);
  Job& job = state_.jobs[task->job];
  const std::size_t first = job.events.size();
  Tell(job, task, now);
  Follow(job, first, now);
  return OkStatus();
}

Result<LogOwner> MemoryQueue::FindLog(TaskId id, domain::Attempt attempt) {
  const auto it = state_.tasks.find(id);
  if (it == state_.tasks.end()) {
    return NotFound("no such task");
  }
  const Task& task = it->second;
  const domain::Attempt number = attempt == 0 ? task.view.attempt : attempt;
  if (number == 0) {
    return LogOwner{task.job, 0, IsFinal(task.view.state)};
  }
  if (number < 0 || static_cast<std::size_t>(number) > task.attempts.size()) {
    return NotFound("no such attempt");
  }
  const Attempt& one = task.attempts[static_cast<std::size_t>(number) - 1];
  return LogOwner{task.job, number, one.ending.has_value()};
}

// --- Results by action key.

Result<std::vector<CacheHit>> MemoryQueue::CacheHits(const HitFilter& which) {
  std::vector<CacheHit> hits;
  for (const auto& [id, task] : state_.tasks) {
    if (task.view.state == TaskState::kQueued && HasResult(task) && !Waits(task) &&
        (!which.job || *which.job == task.job) && !which.without.contains(*task.key) &&
        static_cast<std::int64_t>(hits.size()) < which.limit) {
      const Action& action = state_.actions[*task.key];
      const auto maker = state_.tasks.find(action.task);
      hits.push_back({id, task.job, *task.key, action.output, task.view.kind,
                      maker != state_.tasks.end() &&
                          task.view.queued_unix_ms < maker->second.view.ended_unix_ms});
    }
  }
  return hits;
}

Status MemoryQueue::SucceedFromCache(const CacheHit& hit, std::int64_t now) {
  Task& task = state_.tasks[hit.task];
  if (task.view.state != TaskState::kQueued) {
    return Aborted("not queued");
  }
  task.view.state = TaskState::kSucceeded;
  task.view.output = hit.output;
  task.view.failure.reset();
  task.view.cached = true;
  task.view.ended_unix_ms = now;
  if (const auto action = state_.actions.find(hit.key); action != state_.actions.end()) {
    task.made_by = action->second.task;
    action->second.at_ms = std::max(action->second.at_ms, now);
  }
  Job& job = state_.jobs[task.job];
  const std::size_t first = job.events.size();
  Tell(job, &task, now);
  Follow(job, first, now);
  return OkStatus();
}

Status MemoryQueue::ForgetAction(const Sha256& key) {
  state_.actions.erase(key);
  return OkStatus();
}

void MemoryQueue::EndLast(Task& task, sched::Ending ending, std::int64_t now,
                          const std::optional<domain::Failure>& failure) {
  Attempt& last = task.attempts.back();
  last.ending = ending;
  last.ended_ms = now;
  last.failure = failure;
}

HeldTask MemoryQueue::ToHeld(const Task& task) {
  return {{task.view.id, task.view.attempt},
          task.job,
          task.view.kind,
          task.view.state,
          task.holder,
          task.spent,
          task.view.started_unix_ms};
}

}  // namespace tyllm::server::store
