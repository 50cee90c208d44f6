// SPDX-License-Identifier: Apache-2.0
#include "tests/server/store/memory_queue.h"

#include <algorithm>

#include "common/domain/tools.h"

namespace tyllm::server::store {

using domain::JobState;
using domain::TaskState;

Status MemoryQueue::Begin() {
  state_.ended.clear();
  return SetMark();
}

Result<bool> MemoryQueue::Commit() {
  marks_.clear();
  return true;
}

void MemoryQueue::Rollback() {
  if (marks_.empty()) {
    return;  // no transaction has begun
  }
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

Result<JobId> MemoryQueue::Enqueue(const NewJob& job, std::int64_t now) {
  TYLLM_ASSIGN(const domain::JobView made, EnqueueAndShow(job, now));
  return made.id;
}

Result<domain::JobView> MemoryQueue::EnqueueAndShow(const NewJob& job, std::int64_t now) {
  if (state_.requests.contains(job.request_id)) {
    return Internal("doubled request id");
  }
  const JobId id{++state_.last_job};
  state_.requests[job.request_id] = {{job.method, job.fingerprint, id}, now};
  Job& added = state_.jobs[id];
  added.view.id = id;
  added.view.spec = job.spec;
  added.view.created_unix_ms = now;
  added.view.project = job.spec.project;
  added.view.priority = job.spec.priority;
  added.view.labels = job.spec.labels;
  added.view.retry_of = job.retry_of;
  added.view.submitted_by = job.submitted_by;
  added.view.start_by_unix_ms = job.spec.start_within_ms ? now + *job.spec.start_within_ms : 0;
  added.outputs = job.plan.outputs;
  for (const domain::PlannedTask& planned : job.plan.tasks) {
    const TaskId task_id{++state_.last_task};
    Task& task = state_.tasks[task_id];
    task.view.id = task_id;
    task.view.label = planned.label;
    task.view.kind = planned.spec.kind;
    task.job = id;
    task.planned = planned;
    task.use_cache = !job.spec.no_cache;
    task.lane = LaneOf({job.spec.project, job.spec.job_class, job.spec.priority,
                        sched::NeedsOf(planned, job.spec.requirements)});
    added.tasks.push_back(task_id);
    if (const auto kept = job.kept.find(planned.label); kept != job.kept.end()) {
      task.view.state = TaskState::kSucceeded;
      task.view.output = kept->second.output;
      task.view.cached = true;
      task.view.queued_unix_ms = now;
      task.view.ended_unix_ms = now;
      task.key = kept->second.key;
      task.made_by = kept->second.made_by;
      task.kept = true;
    }
  }
  Tell(added, nullptr, now, job.by);
  Follow(added, 0, now);
  for (const TaskId task_id : added.tasks) {
    Task& task = state_.tasks[task_id];
    if (!task.kept && job.notes.contains(task.view.label)) {
      Tell(added, &task, now);
    }
  }
  return GetJob(id);
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

Result<std::vector<JobId>> MemoryQueue::CancelJob(JobId id, const std::string& by,
                                                  std::int64_t now) {
  TYLLM_TRY(GetJob(id).status());
  Job& job = state_.jobs[id];
  if (IsFinal(job.view.state) || job.cancel_asked) {
    return std::vector<JobId>();
  }
  job.cancel_asked = true;
  std::vector<JobId> heirs = HandOver(job, now);
  const std::size_t first = job.events.size();
  Tell(job, nullptr, now, by);
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

Result<bool> MemoryQueue::SetCompiler(JobId id, const std::string& compiler, std::int64_t now) {
  TYLLM_TRY(GetJob(id).status());
  Job& job = state_.jobs[id];
  std::vector<Task*> others;
  for (const TaskId task_id : job.tasks) {
    Task& task = state_.tasks[task_id];
    if (!domain::HasCompiler(task.planned.spec) || task.planned.spec.compiler == compiler) {
      continue;
    }
    if (task.view.state != TaskState::kWaiting && task.view.state != TaskState::kQueued) {
      return false;
    }
    others.push_back(&task);
  }
  for (Task* const task : others) {
    task->planned.spec.compiler = compiler;
    sched::LaneKey lane = state_.lanes[static_cast<std::size_t>(task->lane) - 1];
    lane.needs = sched::NeedsOf(task->planned, job.view.spec.requirements);
    task->lane = LaneOf(lane);
    if (task->view.state == TaskState::kQueued) {
      task->key = domain::ActionKey(task->planned.spec, InputsOf(*task), toolchain_version_);
    }
  }
  if (!others.empty()) {
    const std::size_t first = job.events.size();
    Tell(job, nullptr, now);
    Follow(job, first, now);
  }
  return !others.empty();
}

Status MemoryQueue::FailQueued(TaskId id, const domain::Failure& failure, std::int64_t now) {
  const auto it = state_.tasks.find(id);
  if (it == state_.tasks.end()) {
    return NotFound("no such task");
  }
  Task& task = it->second;
  if (task.view.state != TaskState::kQueued) {
    return Aborted("not queued");
  }
  Job& job = state_.jobs[task.job];
  const std::size_t first = job.events.size();
  task.view.state = TaskState::kFailed;
  task.view.failure = failure;
  task.view.ended_unix_ms = now;
  if (!job.view.failure) {
    job.view.failure = failure;
  }
  Tell(job, &task, now);
  Follow(job, first, now);
  return OkStatus();
}

// --- Workers.

Status MemoryQueue::CheckNotReplaced(const WorkerSession& worker) const {
  const auto record = state_.workers.find(worker.worker);
  return state_.sessions.contains({worker.worker, worker.session}) &&
                 record != state_.workers.end() && record->second.session != worker.session
             ? Aborted("replaced")
             : OkStatus();
}

Status MemoryQueue::StartSession(const WorkerSession& worker,
                                 const domain::Capabilities& capabilities, std::int64_t now) {
  TYLLM_TRY(CheckNotReplaced(worker));
  WorkerRecord& record = state_.workers[worker.worker];
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

Status MemoryQueue::ForgetWorker(const std::string& worker) {
  std::erase_if(state_.sessions, [&](const auto& session) { return session.first == worker; });
  return state_.workers.erase(worker) == 1 ? OkStatus() : NotFound("no such worker");
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

void MemoryQueue::Tell(Job& job, const Task* task, std::int64_t now, const std::string& by) {
  job.events.push_back({.number = static_cast<std::int64_t>(job.events.size()) + 1,
                        .unix_ms = now,
                        .text = {},
                        .job_state = job.view.state,
                        .task = {},
                        .by = by});
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
    EndedJob& ended = state_.ended.emplace_back(EndedJob{job.view.spec.kind, state, {}});
    if (state == JobState::kFailed) {
      ended.blame = job.view.failure->blame;
    }
  }
  for (const TaskId id : job.tasks) {
    if (IsFinal(state) || HasBegun(state_.tasks[id])) {
      job.view.start_by_unix_ms = 0;
    }
  }
  job.view.state = state;
  job.view.last_event = static_cast<std::int64_t>(job.events.size());
  for (std::size_t i = first_new_event; i < job.events.size(); ++i) {
    job.events[i].job_state = before;
  }
  job.events.back().job_state = state;  // only the last of them shows the new state
}

}  // namespace tyllm::server::store
