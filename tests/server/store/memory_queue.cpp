// SPDX-License-Identifier: Apache-2.0
#include "tests/server/store/memory_queue.h"

#include <algorithm>

namespace tyllm::server::store {

using domain::JobState;
using domain::TaskState;

Status MemoryQueue::Begin() {
  return SetMark();
}

Result<bool> MemoryQueue::Commit() {
  marks_.clear();
  return true;
}

void MemoryQueue::Rollback() {
  state_ = marks_.front();
  marks_.clear();
}

Status MemoryQueue::SetMark() {
  marks_.push_back(state_);
  return OkStatus();
}

Status MemoryQueue::KeepMark() {
  marks_.pop_back();
  return OkStatus();
}

Status MemoryQueue::RevertToMark() {
  state_ = marks_.back();
  return KeepMark();
}

// --- Jobs.

Result<std::optional<JobId>> MemoryQueue::FindRequest(const std::string& request_id) {
  const auto it = state_.requests.find(request_id);
  return it == state_.requests.end() ? std::optional<JobId>() : it->second;
}

Result<JobId> MemoryQueue::Enqueue(const NewJob& job, std::int64_t now) {
  if (state_.requests.contains(job.request_id)) {
    return Internal("doubled request id");
  }
  const JobId id{static_cast<std::int64_t>(state_.jobs.size()) + 1};
  state_.requests[job.request_id] = id;
  Job& added = state_.jobs[id];
  added.view.id = id;
  added.view.spec = job.spec;
  added.view.created_unix_ms = now;
  added.outputs = job.plan.outputs;
  for (const domain::PlannedTask& planned : job.plan.tasks) {
    const TaskId task_id{static_cast<std::int64_t>(state_.tasks.size()) + 1};
    Task& task = state_.tasks[task_id];
    task.view.id = task_id;
    task.view.label = planned.label;
    task.view.kind = planned.spec.kind;
    task.job = id;
    task.planned = planned;
    task.use_cache = !job.spec.no_cache;
    task.lane = LaneOf({job.spec.project, job.spec.job_class, job.spec.priority,
                        sched::NeedsOf(planned.spec, job.spec.requirements)});
    added.tasks.push_back(task_id);
  }
  Tell(added, nullptr, now);
  Follow(added, 0, now);
  return id;
}

Result<domain::JobView> MemoryQueue::GetJob(JobId job) {
  const auto it = state_.jobs.find(job);
  if (it == state_.jobs.end()) {
    return NotFound("no such job");
  }
  domain::JobView view = it->second.view;
  for (const TaskId id : it->second.tasks) {
    const Task& task = state_.tasks[id];
    view.tasks.push_back(task.view);
    for (const auto& [output, label] : it->second.outputs) {
      if (label == task.view.label && task.view.output) {
        view.outputs[output] = *task.view.output;
      }
    }
  }
  return view;
}

Result<std::vector<domain::JobView>> MemoryQueue::ListJobs(const JobFilter& filter) {
  std::vector<domain::JobView> views;
  for (auto it = state_.jobs.rbegin(); it != state_.jobs.rend(); ++it) {
    const bool wanted =
        filter.states.empty() || std::find(filter.states.begin(), filter.states.end(),
                                           it->second.view.state) != filter.states.end();
    if (wanted && (!filter.before || it->first < *filter.before) &&
        static_cast<std::int64_t>(views.size()) < filter.limit) {
      views.push_back(it->second.view);
    }
  }
  return views;
}

Result<std::map<JobState, std::int64_t>> MemoryQueue::CountJobs() {
  std::map<JobState, std::int64_t> counts;
  for (const auto& [state, name] : domain::kJobStateNames.rows()) {
    counts[state] = 0;
  }
  for (const auto& [id, job] : state_.jobs) {
    ++counts[job.view.state];
  }
  return counts;
}

Result<std::vector<domain::JobEvent>> MemoryQueue::EventsAfter(JobId job, std::int64_t after,
                                                               std::int64_t limit) {
  TYLLM_TRY(GetJob(job).status());
  std::vector<domain::JobEvent> found;
  for (const domain::JobEvent& event : state_.jobs[job].events) {
    if (event.number > after && static_cast<std::int64_t>(found.size()) < limit) {
      found.push_back(event);
    }
  }
  return found;
}

Result<std::vector<JobId>> MemoryQueue::CancelJob(JobId id, std::int64_t now) {
  TYLLM_TRY(GetJob(id).status());
  Job& job = state_.jobs[id];
  if (IsFinal(job.view.state) || job.cancel_asked) {
    return std::vector<JobId>();
  }
  job.cancel_asked = true;
  std::vector<JobId> heirs = HandOver(job, now);
  const std::size_t first = job.events.size();
  Tell(job, nullptr, now);
  for (const TaskId task_id : job.tasks) {
    Task& task = state_.tasks[task_id];
    if (task.view.state == TaskState::kLeased) {
      task.view.state = TaskState::kCancelling;
      Tell(job, &task, now);
    } else if (!IsFinal(task.view.state)) {
      task.view.state = TaskState::kCancelled;
      task.view.ended_unix_ms = now;
      Tell(job, &task, now);
    }
  }
  Follow(job, first, now);
  return heirs;
}

// --- Attempts.

bool MemoryQueue::Waits(const Task& task) const {
  if (!task.use_cache) {
    return false;
  }
  return state_.actions.contains(*task.key) ||
         std::any_of(state_.tasks.begin(), state_.tasks.end(), [&](const auto& entry) {
           return IsHeld(entry.second.view.state) && entry.second.key == task.key;
         });
}

Result<TaskCounts> MemoryQueue::CountTasks(std::int64_t now) {
  TaskCounts counts;
  for (const auto& [id, task] : state_.tasks) {
    if (IsFinal(state_.jobs.at(task.job).view.state)) {
      continue;
    }
    ++counts.by_state[task.view.state];
    if (task.view.state == TaskState::kQueued && task.not_before <= now) {
      const std::int64_t due = std::max(task.not_before, task.view.queued_unix_ms);
      counts.oldest_due_ms = std::min(counts.oldest_due_ms.value_or(due), due);
    }
  }
  return counts;
}

Result<Lease> MemoryQueue::StartAttempt(TaskId id, const WorkerSession& worker, std::int64_t now) {
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
  task.attempts.push_back({worker.worker, std::nullopt});
  Job& job = state_.jobs[task.job];
  const std::size_t first = job.events.size();
  Tell(job, &task, now);
  Follow(job, first, now);
  return GetLease({id, task.view.attempt});
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
  task->holder.session = session;
  return OkStatus();
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
  task->attempts.back().ending = sched::Ending::kSucceeded;
  state_.checkpoints.erase(*task->key);
  if (key) {
    state_.actions[*key] = output;
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
  task->attempts.back().ending = ending;
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
  task->attempts.back().ending = sched::Ending::kStopped;
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

Result<std::vector<CacheHit>> MemoryQueue::CacheHits(std::int64_t limit) {
  std::vector<CacheHit> hits;
  for (const auto& [id, task] : state_.tasks) {
    if (task.view.state == TaskState::kQueued && task.use_cache &&
        state_.actions.contains(*task.key) && static_cast<std::int64_t>(hits.size()) < limit) {
      hits.push_back({id, task.job, *task.key, state_.actions[*task.key]});
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

// --- Workers.

Status MemoryQueue::StartSession(const WorkerSession& worker,
                                 const domain::Capabilities& capabilities, std::int64_t now) {
  WorkerRecord& record = state_.workers[worker.worker];
  if (state_.sessions.contains({worker.worker, worker.session}) &&
      record.session != worker.session) {
    return Aborted("replaced");
  }
  state_.sessions.insert({worker.worker, worker.session});
  if (record.session != worker.session && record.order.mode > domain::WorkerMode::kCordoned) {
    record.order.mode = domain::WorkerMode::kCordoned;
  }
  record.name = worker.worker;
  record.session = worker.session;
  record.capabilities = capabilities;
  state_.rates[worker.worker] = sched::RateOf(capabilities, {});
  record.last_seen_unix_ms = now;
  return OkStatus();
}

Result<std::vector<WorkerRecord>> MemoryQueue::ListWorkers() {
  std::vector<WorkerRecord> workers;
  for (const auto& [name, worker] : state_.workers) {
    workers.push_back(worker);
  }
  return workers;
}

Status MemoryQueue::SetWorkerMode(const std::string& worker, const domain::ModeOrder& order) {
  if (!state_.workers.contains(worker)) {
    return NotFound("no such worker");
  }
  state_.workers[worker].order = order;
  return OkStatus();
}

// --- What they share.

Result<MemoryQueue::Task*> MemoryQueue::Current(const AttemptId& id) {
  const auto it = state_.tasks.find(id.task);
  if (it == state_.tasks.end()) {
    return NotFound("no such task");
  }
  Task& task = it->second;
  if (task.view.attempt != id.attempt || !IsHeld(task.view.state)) {
    return Aborted("over");
  }
  return &task;
}

MemoryQueue::Task& MemoryQueue::WithLabel(const Job& job, const std::string& label) {
  const auto it = std::find_if(job.tasks.begin(), job.tasks.end(),
                               [&](TaskId id) { return state_.tasks[id].view.label == label; });
  return state_.tasks[*it];
}

std::map<std::string, BlobId> MemoryQueue::InputsOf(const Task& task) {
  std::map<std::string, BlobId> inputs;
  for (const domain::TaskInput& input : task.planned.inputs) {
    inputs[input.name] =
        input.tree ? *input.tree : *WithLabel(state_.jobs[task.job], input.from).view.output;
  }
  return inputs;
}

void MemoryQueue::Tell(Job& job, const Task* task, std::int64_t now) {
  job.events.push_back({.number = static_cast<std::int64_t>(job.events.size()) + 1,
                        .unix_ms = now,
                        .text = {},
                        .job_state = job.view.state,
                        .task = {}});
  if (task != nullptr) {
    job.events.back().task = task->view;
  }
}

void MemoryQueue::Follow(Job& job, std::size_t first_new_event, std::int64_t now) {
  for (const TaskId id : job.tasks) {
    Task& task = state_.tasks[id];
    bool ready = task.view.state == TaskState::kWaiting;
    bool hopeless = false;
    for (const domain::TaskInput& input : task.planned.inputs) {
      if (task.view.state == TaskState::kWaiting && !input.tree) {
        const TaskState source = WithLabel(job, input.from).view.state;
        ready = ready && source == TaskState::kSucceeded;
        hopeless = hopeless || source == TaskState::kFailed || source == TaskState::kCancelled;
      }
    }
    if (hopeless) {
      task.view.state = TaskState::kCancelled;
      task.view.ended_unix_ms = now;
      Tell(job, &task, now);
    } else if (ready) {
      task.view.state = TaskState::kQueued;
      task.view.queued_unix_ms = now;
      task.key = domain::ActionKey(task.planned.spec, InputsOf(task), toolchain_version_);
      Tell(job, &task, now);
    }
  }
  std::vector<TaskState> states;
  for (const TaskId id : job.tasks) {
    states.push_back(state_.tasks[id].view.state);
  }
  const JobState before = job.view.state;
  const JobState state = domain::JobStateOf(states, job.cancel_asked);
  if (IsFinal(state)) {
    job.view.ended_unix_ms = now;
    Tell(job, nullptr, now);
  }
  job.view.state = state;
  job.view.last_event = static_cast<std::int64_t>(job.events.size());
  for (std::size_t i = first_new_event; i < job.events.size(); ++i) {
    job.events[i].job_state = before;
  }
  job.events.back().job_state = state;  // only the last of them shows the new state
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
