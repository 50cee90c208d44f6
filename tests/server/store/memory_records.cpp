// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "common/domain/validation.h"
#include "tests/server/store/memory_queue.h"

// Requests, lists, labels, deletion and what is remembered of tasks.
namespace tyllm::server::store {

using domain::JobView;

namespace {

bool HasLabels(const JobView& job, const std::map<std::string, std::string>& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& label) {
    const auto found = job.labels.find(label.first);
    return found != job.labels.end() && (label.second.empty() || found->second == label.second);
  });
}

template <typename T>
bool IsOneOf(const std::vector<T>& all, T one) {
  return all.empty() || std::find(all.begin(), all.end(), one) != all.end();
}

bool Matches(const JobView& job, const JobFilter& filter) {
  return IsOneOf(filter.states, job.state) && IsOneOf(filter.kinds, job.spec.kind) &&
         (filter.project.empty() || job.project == filter.project) &&
         HasLabels(job, filter.labels) && job.spec.name.starts_with(filter.name_prefix) &&
         job.created_unix_ms >= filter.created_from_ms &&
         (filter.created_before_ms == 0 || job.created_unix_ms < filter.created_before_ms) &&
         (filter.submitted_by.empty() || job.submitted_by == filter.submitted_by) &&
         (filter.order != domain::JobOrder::kEnded || job.ended_unix_ms != 0);
}

// Smaller comes first.
std::pair<std::int64_t, std::int64_t> RankOf(const JobPosition& position, domain::JobOrder order) {
  switch (order) {
    case domain::JobOrder::kNewest:
      return {0, -position.id.value};
    case domain::JobOrder::kOldest:
      return {0, position.id.value};
    case domain::JobOrder::kEnded:
      return {-position.key, -position.id.value};
    case domain::JobOrder::kPriority:
      return {-position.key, position.id.value};
  }
  return {};
}

std::pair<std::int64_t, std::int64_t> RankOf(const JobView& job, domain::JobOrder order) {
  const bool by_end = order == domain::JobOrder::kEnded;
  return RankOf(JobPosition{by_end ? job.ended_unix_ms : job.priority, job.id}, order);
}

}  // namespace

Result<std::optional<AnsweredRequest>> MemoryQueue::FindRequest(const std::string& request_id) {
  const auto it = state_.requests.find(request_id);
  return it == state_.requests.end() ? std::optional<AnsweredRequest>()
                                     : std::optional(it->second.answered);
}

Status MemoryQueue::NoteRequest(const std::string& request_id, const AnsweredRequest& answered,
                                std::int64_t now) {
  state_.requests[request_id] = {answered, now};
  return OkStatus();
}

Result<std::int64_t> MemoryQueue::ForgetRequests(std::int64_t before, std::int64_t limit) {
  std::int64_t gone = 0;
  std::erase_if(state_.requests, [&](const auto& entry) {
    return entry.second.at_ms < before && gone < limit && ++gone > 0;
  });
  return gone;
}

Result<std::vector<JobView>> MemoryQueue::ListJobs(const JobFilter& filter) {
  std::vector<JobView> views;
  for (const auto& [id, job] : state_.jobs) {
    const bool later =
        !filter.after || RankOf(*filter.after, filter.order) < RankOf(job.view, filter.order);
    if (later && Matches(job.view, filter)) {
      views.push_back(job.view);
    }
  }
  std::sort(views.begin(), views.end(), [&](const JobView& a, const JobView& b) {
    return RankOf(a, filter.order) < RankOf(b, filter.order);
  });
  views.resize(std::min(views.size(), static_cast<std::size_t>(filter.limit)));
  return views;
}

Status MemoryQueue::SetLabels(JobId job, const std::map<std::string, std::string>& labels) {
  TYLLM_TRY(GetJob(job).status());
  state_.jobs[job].view.labels = labels;
  return OkStatus();
}

Result<std::vector<TaskId>> MemoryQueue::DeleteJob(JobId job) {
  TYLLM_TRY(GetJob(job).status());
  if (!IsFinal(state_.jobs[job].view.state)) {
    return FailedPrecondition("not ended");
  }
  const std::vector<TaskId> tasks = state_.jobs[job].tasks;
  for (const TaskId task : tasks) {
    state_.tasks.erase(task);
  }
  state_.jobs.erase(job);
  state_.trees.erase(job);
  // What other jobs tell of tasks that had moved here is forgotten.
  for (auto& [id, other] : state_.jobs) {
    for (domain::JobEvent& event : other.events) {
      if (event.task && !state_.tasks.contains(event.task->id)) {
        event.task.reset();
      }
    }
  }
  return tasks;
}

Result<std::vector<JobId>> MemoryQueue::EndedBefore(std::int64_t before, std::int64_t limit) {
  std::vector<std::pair<std::int64_t, JobId>> ended;
  for (const auto& [id, job] : state_.jobs) {
    if (job.view.ended_unix_ms != 0 && job.view.ended_unix_ms < before &&
        !job.view.labels.contains(std::string(domain::kKeepLabel))) {
      ended.emplace_back(job.view.ended_unix_ms, id);
    }
  }
  std::sort(ended.begin(), ended.end());
  std::vector<JobId> ids;
  for (const auto& [at, id] : ended) {
    if (static_cast<std::int64_t>(ids.size()) < limit) {
      ids.push_back(id);
    }
  }
  return ids;
}

Result<TaskRecord> MemoryQueue::GetTask(TaskId id) {
  const auto it = state_.tasks.find(id);
  if (it == state_.tasks.end()) {
    return NotFound("no such task");
  }
  const Task& task = it->second;
  TaskRecord record{
      .view = task.view,
      .job = task.job,
      .spec = task.planned.spec,
      .inputs = task.planned.inputs,
      .trees = {},
      .key = task.key,
      .use_cache = task.use_cache,
      .kept = task.kept,
      .made_by = task.made_by,
      .joined = {},
      .requirements = state_.lanes[static_cast<std::size_t>(task.lane) - 1].needs.requirements,
      .toolchain_version = task.attempts.empty() ? "" : task.attempts.back().toolchain};
  for (const domain::TaskInput& input : task.planned.inputs) {
    const std::optional<BlobId> tree =
        input.tree ? input.tree : WithLabel(state_.jobs[task.job], input.from).view.output;
    if (tree) {
      record.trees[input.name] = *tree;
    }
  }
  if (task.view.state == domain::TaskState::kQueued && task.use_cache) {
    TYLLM_ASSIGN(record.joined, FindRunning(*task.key));
  }
  return record;
}

Result<std::vector<domain::AttemptRecord>> MemoryQueue::Attempts(TaskId task) {
  std::vector<domain::AttemptRecord> found;
  if (!state_.tasks.contains(task)) {
    return found;
  }
  for (const Attempt& one : state_.tasks[task].attempts) {
    found.push_back({.attempt = static_cast<domain::Attempt>(found.size() + 1),
                     .worker = one.worker,
                     .session = one.session,
                     .started_unix_ms = one.started_ms,
                     .ended_unix_ms = one.ended_ms,
                     .ending = one.ending,
                     .failure = one.failure,
                     .log_bytes = one.failure ? one.failure->log_bytes : 0});
  }
  return found;
}

Status MemoryQueue::NoteDecision(TaskId task, const std::string& text, std::int64_t now) {
  auto& decisions = state_.tasks[task].decisions;
  decisions.push_back({.unix_ms = now, .text = text});
  if (decisions.size() > 100) {
    decisions.erase(decisions.begin());
  }
  return OkStatus();
}

Result<std::vector<domain::Decision>> MemoryQueue::Decisions(TaskId task) {
  return state_.tasks.contains(task) ? state_.tasks[task].decisions
                                     : std::vector<domain::Decision>();
}

Result<std::vector<SeenAttempt>> MemoryQueue::SeenAttempts(std::int64_t limit) {
  std::multimap<std::int64_t, SeenAttempt> succeeded;
  std::multimap<std::int64_t, SeenAttempt> too_large;
  for (const auto& [id, task] : state_.tasks) {
    for (const Attempt& one : task.attempts) {
      SeenAttempt seen{sched::SizeClassOf(task.planned.spec),
                       {.run_ms = {}, .used = one.used, .gpu_too_small = one.gpu_too_small}};
      if (one.ending == sched::Ending::kSucceeded) {
        seen.run.run_ms = one.ended_ms - one.started_ms;
        succeeded.emplace(one.ended_ms, seen);
      } else if (one.gpu_too_small > 0) {
        too_large.emplace(one.ended_ms, seen);
      }
    }
  }
  for (auto* const all : {&succeeded, &too_large}) {
    while (static_cast<std::int64_t>(all->size()) > limit) {
      all->erase(all->begin());
    }
  }
  succeeded.merge(too_large);
  std::vector<SeenAttempt> seen;
  for (const auto& [ended_ms, one] : succeeded) {
    seen.push_back(one);
  }
  return seen;
}

Result<std::int64_t> MemoryQueue::ForgetActions(std::int64_t before, std::int64_t limit) {
  std::int64_t gone = 0;
  std::erase_if(state_.actions, [&](const auto& entry) {
    const bool wanted =
        std::any_of(state_.tasks.begin(), state_.tasks.end(), [&](const auto& task) {
          return task.second.view.state == domain::TaskState::kQueued &&
                 task.second.key == entry.first;
        });
    return entry.second.at_ms < before && !wanted && gone < limit && ++gone > 0;
  });
  return gone;
}

Result<std::optional<BlobId>> MemoryQueue::FindResult(const Sha256& key) {
  const auto found = state_.actions.find(key);
  return found == state_.actions.end() ? std::optional<BlobId>()
                                       : std::optional(found->second.output);
}

Result<std::optional<TaskId>> MemoryQueue::FindRunning(const Sha256& key) {
  for (const auto& [id, task] : state_.tasks) {
    if (IsHeld(task.view.state) && task.key == key) {
      return std::optional(id);
    }
  }
  return std::optional<TaskId>();
}

Result<std::vector<BlobId>> MemoryQueue::TreesInUse() {
  std::set<BlobId> trees;
  for (const auto& [job, of_job] : state_.trees) {
    for (const auto& [tree, bytes] : of_job) {
      trees.insert(tree);
    }
  }
  for (const auto& [key, action] : state_.actions) {
    trees.insert(action.output);
  }
  for (const auto& [key, kept] : state_.checkpoints) {
    trees.insert(kept.checkpoint.tree);
  }
  return std::vector<BlobId>(trees.begin(), trees.end());
}

}  // namespace tyllm::server::store
