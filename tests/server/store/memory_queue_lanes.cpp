// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "tests/server/store/memory_queue.h"

// Who is next, projects, and joining.
namespace tyllm::server::store {

using domain::TaskState;

namespace {

ProjectRecord Unknown(const std::string& name) {
  ProjectRecord record;
  record.project.name = name;
  return record;
}

}  // namespace

std::int64_t MemoryQueue::LaneOf(const sched::LaneKey& key) {
  state_.projects.try_emplace(key.project, Unknown(key.project));
  auto& lanes = state_.lanes;
  const auto found = std::find(lanes.begin(), lanes.end(), key);
  if (found != lanes.end()) {
    return found - lanes.begin() + 1;
  }
  lanes.push_back(key);
  return static_cast<std::int64_t>(lanes.size());
}

std::vector<const MemoryQueue::Task*> MemoryQueue::QueuedIn(std::int64_t lane) const {
  std::vector<const Task*> queued;
  for (const auto& [id, job] : state_.jobs) {
    for (const TaskId task_id : job.tasks) {
      const Task& task = state_.tasks.at(task_id);
      if (task.view.state == TaskState::kQueued && task.lane == lane) {
        queued.push_back(&task);
      }
    }
  }
  return queued;
}

Result<std::vector<sched::Lane>> MemoryQueue::Lanes(std::int64_t now) {
  std::vector<sched::Lane> found;
  for (std::size_t i = 0; i < state_.lanes.size(); ++i) {
    const auto id = static_cast<std::int64_t>(i) + 1;
    for (const Task* task : QueuedIn(id)) {
      if (task->not_before <= now && !Waits(*task) && !HasResult(*task)) {
        found.push_back({id, state_.lanes[i], task->job, task->view.queued_unix_ms});
        break;
      }
    }
  }
  return found;
}

Result<std::vector<sched::Candidate>> MemoryQueue::Candidates(std::int64_t lane, std::int64_t now,
                                                              std::int64_t limit) {
  std::vector<sched::Candidate> found;
  for (const Task* task : QueuedIn(lane)) {
    if (task->not_before > now || Waits(*task) || HasResult(*task) ||
        static_cast<std::int64_t>(found.size()) >= limit) {
      continue;
    }
    sched::Candidate candidate;
    candidate.id = task->view.id;
    if (task->use_cache) {
      candidate.shared_key = task->key;
    }
    std::set<std::string> losers;
    std::set<std::string> failed;
    for (const Attempt& attempt : task->attempts) {
      if (attempt.ending == sched::Ending::kLeaseLost) {
        losers.insert(attempt.worker);
      } else if (attempt.ending != sched::Ending::kReturned) {
        failed.insert(attempt.worker);
      }
    }
    candidate.lost_by.assign(losers.begin(), losers.end());
    candidate.failed_on.assign(failed.begin(), failed.end());
    for (const auto& [name, tree] : InputsOf(*task)) {
      candidate.inputs.push_back(tree);
    }
    candidate.due_ms = std::max(task->view.queued_unix_ms, task->not_before);
    found.push_back(std::move(candidate));
  }
  return found;
}

Result<sched::Shares> MemoryQueue::Shares(std::int64_t now) {
  sched::Shares shares;
  for (const auto& [name, record] : state_.projects) {
    sched::Share& share = shares.projects[name];
    share.weight = record.project.weight;
    share.used_seconds =
        sched::Decayed(record.used_seconds, Milliseconds(now - record.used_at_ms), {});
    share.max_running_tasks = record.project.max_running_tasks;
  }
  for (const auto& [id, task] : state_.tasks) {
    if (!IsHeld(task.view.state)) {
      continue;
    }
    const sched::LaneKey& lane = state_.lanes[static_cast<std::size_t>(task.lane) - 1];
    sched::Share& share = shares.projects[lane.project];
    const auto ran =
        static_cast<double>(std::max<std::int64_t>(0, now - task.view.started_unix_ms));
    share.running_seconds += ran / 1000 * task.rate;
    share.running_rate += task.rate;
    ++share.running_tasks;
    shares.interactive_tasks += lane.job_class == domain::JobClass::kInteractive ? 1 : 0;
  }
  return shares;
}

Status MemoryQueue::CorrectTimes(std::int64_t now) {
  for (auto& [id, task] : state_.tasks) {
    if (task.view.state == TaskState::kQueued && task.view.queued_unix_ms > now) {
      const std::int64_t pause = task.not_before - task.view.queued_unix_ms;
      task.not_before = now + std::max<std::int64_t>(0, pause);
      task.view.queued_unix_ms = now;
    }
  }
  for (auto& [id, job] : state_.jobs) {
    std::int64_t& start_by = job.view.start_by_unix_ms;
    if (start_by != 0 && job.view.created_unix_ms > now) {
      start_by = std::min(start_by, now + *job.view.spec.start_within_ms);
    }
  }
  return OkStatus();
}

Result<std::vector<PendingRecord>> MemoryQueue::Pending(JobId job) {
  std::vector<PendingRecord> pending;
  for (const TaskId id : state_.jobs[job].tasks) {
    const Task& task = state_.tasks[id];
    if (task.view.state != TaskState::kWaiting && task.view.state != TaskState::kQueued) {
      continue;
    }
    PendingRecord record{.id = id, .state = task.view.state, .lane = task.lane};
    record.lane_key = state_.lanes[static_cast<std::size_t>(task.lane) - 1];
    for (const domain::TaskInput& input : task.planned.inputs) {
      if (!input.tree &&
          WithLabel(state_.jobs[job], input.from).view.state != TaskState::kSucceeded) {
        record.waits_for.push_back(input.from);
      }
    }
    for (const auto& [other_id, other] : state_.tasks) {
      if (task.view.state == TaskState::kQueued && task.use_cache && !record.joined &&
          IsHeld(other.view.state) && other.key == task.key) {
        record.joined = other_id;
      }
    }
    record.not_before_ms = task.not_before;
    pending.push_back(std::move(record));
  }
  return pending;
}

Result<sched::LaneKey> MemoryQueue::LaneKeyOf(TaskId id) {
  const auto task = state_.tasks.find(id);
  if (task == state_.tasks.end()) {
    return NotFound("there is no task " + id.ToString());
  }
  return state_.lanes[static_cast<std::size_t>(task->second.lane) - 1];
}

Result<std::int64_t> MemoryQueue::CountBefore(std::int64_t lane, JobId job, std::int64_t limit) {
  std::int64_t count = 0;
  for (const Task* task : QueuedIn(lane)) {
    count += task->job < job && !Waits(*task) && count < limit ? 1 : 0;
  }
  return count;
}

// --- Projects.

std::int64_t MemoryQueue::StoredBy(const std::string& project) const {
  std::map<BlobId, std::int64_t> once;
  for (const auto& [job, trees] : state_.trees) {
    if (state_.jobs.at(job).view.spec.project == project) {
      once.insert(trees.begin(), trees.end());
    }
  }
  std::int64_t bytes = 0;
  for (const auto& [tree, size] : once) {
    bytes += size;
  }
  return bytes;
}

std::int64_t MemoryQueue::QueuedJobsOf(const std::string& project) const {
  return std::count_if(state_.jobs.begin(), state_.jobs.end(), [&](const auto& entry) {
    return entry.second.view.spec.project == project && !IsFinal(entry.second.view.state);
  });
}

Result<ProjectRecord> MemoryQueue::GetProject(const std::string& name) {
  const auto found = state_.projects.find(name);
  if (found == state_.projects.end()) {
    return Unknown(name);
  }
  ProjectRecord record = found->second;
  record.stored_bytes = StoredBy(name);
  record.queued_jobs = QueuedJobsOf(name);
  return record;
}

Result<std::vector<ProjectRecord>> MemoryQueue::ListProjects() {
  state_.projects.try_emplace("default", Unknown("default"));
  std::vector<ProjectRecord> all;
  for (const auto& [name, record] : state_.projects) {
    all.push_back(*GetProject(name));
  }
  return all;
}

Status MemoryQueue::SetProject(const domain::Project& project) {
  state_.projects[project.name].project = project;
  return OkStatus();
}

Result<std::int64_t> MemoryQueue::TreeBytes(const std::string& project, const BlobId& tree) {
  for (const auto& [job, trees] : state_.trees) {
    const auto known = trees.find(tree);
    if (known != trees.end() && state_.jobs.at(job).view.project == project) {
      return known->second;
    }
  }
  return 0;
}

Status MemoryQueue::AddTree(JobId job, const BlobId& tree, std::int64_t bytes) {
  state_.trees[job].try_emplace(tree, bytes);
  return OkStatus();
}

void MemoryQueue::Charge(Task& task, std::int64_t now) {
  const auto ran = static_cast<double>(std::max<std::int64_t>(0, now - task.view.started_unix_ms));
  const double seconds = ran / 1000 * task.rate;
  task.view.device_seconds += seconds;
  const std::string& name = state_.lanes[static_cast<std::size_t>(task.lane) - 1].project;
  ProjectRecord& record = state_.projects.at(name);
  record.used_seconds =
      sched::Decayed(record.used_seconds, Milliseconds(now - record.used_at_ms), {}) + seconds;
  record.used_at_ms = now;
  record.total_seconds += seconds;
}

// --- Tasks.

Status MemoryQueue::NoteEvent(TaskId id, const std::string& /*text*/, std::int64_t now) {
  const auto it = state_.tasks.find(id);
  if (it == state_.tasks.end()) {
    return NotFound("no such task");
  }
  Job& job = state_.jobs[it->second.job];
  if (IsFinal(job.view.state)) {
    return Aborted("over");
  }
  const std::size_t first = job.events.size();
  Tell(job, &it->second, now);
  Follow(job, first, now);
  return OkStatus();
}

Status MemoryQueue::SetPriority(JobId id, std::int32_t priority) {
  TYLLM_TRY(GetJob(id).status());
  if (IsFinal(state_.jobs[id].view.state)) {
    return FailedPrecondition("over");
  }
  state_.jobs[id].view.priority = priority;
  std::vector<TaskId> tasks = state_.jobs[id].tasks;
  std::sort(tasks.begin(), tasks.end());
  for (const TaskId task_id : tasks) {
    Task& task = state_.tasks[task_id];
    if (!IsFinal(task.view.state)) {
      sched::LaneKey key = state_.lanes[static_cast<std::size_t>(task.lane) - 1];
      key.priority = priority;
      task.lane = LaneOf(key);
    }
  }
  return OkStatus();
}

std::vector<JobId> MemoryQueue::HandOver(Job& job, std::int64_t now) {
  std::vector<JobId> heirs;
  const std::vector<TaskId> ids = job.tasks;
  for (const TaskId id : ids) {
    Task& running = state_.tasks[id];
    if (running.view.state != TaskState::kLeased || state_.actions.contains(*running.key)) {
      continue;
    }
    for (auto& [heir_id, heir] : state_.jobs) {
      const auto waits = [&](TaskId one) {
        const Task& task = state_.tasks[one];
        return task.view.state == TaskState::kQueued && task.use_cache && task.key == running.key;
      };
      const auto found = std::find_if(heir.tasks.begin(), heir.tasks.end(), waits);
      if (heir_id != job.view.id && found != heir.tasks.end()) {
        Exchange(running, state_.tasks[*found]);
        const std::size_t first = heir.events.size();
        Tell(heir, &running, now);
        Follow(heir, first, now);
        heirs.push_back(heir_id);
        break;
      }
    }
  }
  return heirs;
}

void MemoryQueue::Exchange(Task& one, Task& other) {
  const auto place = [&](Task& task) -> TaskId& {
    auto& tasks = state_.jobs[task.job].tasks;
    return *std::find(tasks.begin(), tasks.end(), task.view.id);
  };
  std::swap(place(one), place(other));
  std::swap(one.job, other.job);
  std::swap(one.planned, other.planned);
  std::swap(one.use_cache, other.use_cache);
  std::swap(one.lane, other.lane);
  std::swap(one.view.label, other.view.label);
}

}  // namespace tyllm::server::store
