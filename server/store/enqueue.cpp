// SPDX-License-Identifier: Apache-2.0
#include "server/store/enqueue.h"

#include <algorithm>

#include "server/store/callers.h"
#include "server/store/job_progress.h"
#include "server/store/job_view.h"
#include "server/store/jobs.h"
#include "server/store/lanes.h"
#include "server/store/requests.h"
#include "server/store/rows_json.h"
#include "server/store/spec_text.h"
#include "server/store/tasks.h"
#include "server/store/waiting.h"

namespace tyllm::server::store {

namespace {

using domain::JobState;
using domain::TaskState;

std::string Greeting(const NewJob& job) {
  std::string text = "job accepted: " + std::to_string(job.plan.tasks.size()) + " tasks";
  if (job.retry_of) {
    text +=
        ", " + std::to_string(job.kept.size()) + " of them kept from " + job.retry_of->ToString();
  }
  return text;
}

/// A job before it has an id: rows of its tasks as they will stand, and what is told of them.
class Beginning {
 public:
  Beginning(const Ground& ground, const NewJob& job, std::int64_t now)
      : ground_(ground), job_(job), now_(now) {}

  Status Plan() {
    for (const domain::PlannedTask& task : job_.plan.tasks) {
      TYLLM_TRY(AddRow(task));
    }
    for (const sched::Step& step : StepsFor(rows_, inputs_)) {
      TYLLM_TRY(Take(step));
    }
    state_ = StateOf(rows_, false);
    return OkStatus();
  }

  Result<JobId> Write() {
    Database& db = ground_.db;
    const std::int64_t last_event = LastEvent();
    const bool ends = IsFinal(state_);
    jobs::Beginning beginning{.state = ends ? JobState::kQueued : state_,
                              .last_event = last_event,
                              .submitted_by = {},
                              .start_by_ms = StartBy()};
    TYLLM_ASSIGN(beginning.submitted_by, callers::FindOrMake(db, job_.submitted_by));
    TYLLM_ASSIGN(const JobId id, jobs::Insert(db, job_, beginning, now_));
    TYLLM_TRY(
        requests::Insert(ground_, job_.request_id, {job_.method, job_.fingerprint, id}, now_));
    for (tasks::Row& row : rows_) {
      row.job = id;
      TYLLM_TRY(tasks::Insert(ground_, row));
    }
    TYLLM_TRY(WriteEvents(id));
    if (ends) {
      TYLLM_TRY(jobs::Advance(db, id, state_, last_event, now_));
      ground_.ended.push_back({job_.spec.kind, state_, {}});
    }
    return id;
  }

  Result<domain::JobView> View(JobId id) const {
    domain::JobView view;
    view.id = id;
    view.spec = job_.spec;
    view.state = state_;
    view.created_unix_ms = now_;
    view.ended_unix_ms = IsFinal(state_) ? now_ : 0;
    view.last_event = LastEvent();
    view.project = job_.spec.project;
    view.priority = job_.spec.priority;
    view.labels = job_.spec.labels;
    view.retry_of = job_.retry_of;
    view.submitted_by = job_.submitted_by;
    view.start_by_unix_ms = StartBy().value_or(0);
    TYLLM_TRY(ShowTasks(ground_.db, rows_, job_.plan.outputs, view));
    return view;
  }

 private:
  std::int64_t LastEvent() const { return static_cast<std::int64_t>(Leading() + Notes()); }

  std::optional<std::int64_t> StartBy() const {
    const std::optional<std::int64_t>& within = job_.spec.start_within_ms;
    return within && !IsFinal(state_) ? std::optional(now_ + *within) : std::nullopt;
  }

  Status AddRow(const domain::PlannedTask& task) {
    tasks::Row& row = rows_.emplace_back();
    row.position = static_cast<std::int64_t>(rows_.size()) - 1;
    row.label = task.label;
    row.kind = task.spec.kind;
    row.spec = SpecText(task.spec);
    row.inputs = ToColumn(task.inputs);
    inputs_.push_back(task.inputs);
    row.use_cache = !job_.spec.no_cache;
    row.input_trees = tasks::TreesColumn({});
    TYLLM_ASSIGN(row.lane, lanes::FindOrMake(ground_.db, lanes::KeyOf(job_.spec, task)));
    if (const auto kept = job_.kept.find(task.label); kept != job_.kept.end()) {
      row.state = TaskState::kSucceeded;
      row.output = kept->second.output;
      row.key = kept->second.key;
      row.made_by = kept->second.made_by;
      row.kept = row.cached = true;
      row.queued_ms = row.ended_ms = now_;
    }
    return OkStatus();
  }

  Status Take(const sched::Step& step) {
    tasks::Row& row = rows_[step.node];
    steps_.push_back(step);
    if (step.event != domain::TaskEvent::kInputsReady) {
      row.state = TaskState::kCancelled;
      row.ended_ms = now_;
      return OkStatus();
    }
    TYLLM_ASSIGN(const auto inputs, ResolveInputs(rows_, row.id, inputs_[step.node]));
    row.key = domain::ActionKey(job_.plan.tasks[step.node].spec, inputs, ground_.toolchain_version);
    row.input_trees = tasks::TreesColumn(inputs);
    row.state = TaskState::kQueued;
    row.queued_ms = now_;
    return OkStatus();
  }

  /// Events that lead to its state.
  std::size_t Leading() const { return 1 + steps_.size() + (IsFinal(state_) ? 1 : 0); }

  std::size_t Notes() const {
    return static_cast<std::size_t>(std::ranges::count_if(
        rows_, [&](const tasks::Row& row) { return NoteOf(row) != nullptr; }));
  }

  const std::string* NoteOf(const tasks::Row& row) const {
    const auto note = job_.notes.find(row.label);
    return row.kept || note == job_.notes.end() ? nullptr : &note->second;
  }

  std::vector<events::Draft> Drafts(std::optional<std::int64_t> caller) const {
    std::vector<events::Draft> drafts = {{.text = Greeting(job_), .task = {}, .caller = caller}};
    for (const sched::Step& step : steps_) {
      drafts.push_back(Tell(rows_[step.node], step.event));
    }
    if (IsFinal(state_)) {
      drafts.push_back(TellEnd(state_));
    }
    for (const tasks::Row& row : rows_) {
      if (const std::string* const note = NoteOf(row)) {
        drafts.push_back(
            {.text = row.label + ": " + *note, .task = row.id, .task_state = row.state});
      }
    }
    return drafts;
  }

  // The new state shows from the last event on of those that led to it.
  Status WriteEvents(JobId id) const {
    TYLLM_ASSIGN(const auto caller, callers::FindOrMake(ground_.db, job_.by));
    std::size_t number = 0;
    for (const events::Draft& draft : Drafts(caller)) {
      ++number;
      const JobState shown = number < Leading() ? JobState::kQueued : state_;
      TYLLM_TRY(
          events::Insert(ground_.db, id, static_cast<std::int64_t>(number), draft, shown, now_));
    }
    return OkStatus();
  }

  const Ground& ground_;
  const NewJob& job_;
  const std::int64_t now_;
  std::vector<tasks::Row> rows_;
  AllInputs inputs_;
  std::vector<sched::Step> steps_;
  JobState state_ = JobState::kQueued;
};

}  // namespace

Result<JobId> Enqueue(const Ground& ground, const NewJob& job, std::int64_t now) {
  Beginning beginning(ground, job, now);
  TYLLM_TRY(beginning.Plan());
  return beginning.Write();
}

Result<domain::JobView> EnqueueAndShow(const Ground& ground, const NewJob& job, std::int64_t now) {
  Beginning beginning(ground, job, now);
  TYLLM_TRY(beginning.Plan());
  TYLLM_ASSIGN(const JobId id, beginning.Write());
  return beginning.View(id);
}

Status SetPriority(const Ground& ground, JobId job, std::int32_t priority) {
  TYLLM_ASSIGN(const jobs::Row row, jobs::Get(ground.db, job));
  if (IsFinal(row.state)) {
    return FailedPrecondition(job.ToString() + " has ended");
  }
  TYLLM_TRY(jobs::SetPriority(ground.db, job, priority));
  TYLLM_TRY(lanes::MoveJob(ground.db, job, priority));
  TYLLM_ASSIGN(const std::vector<tasks::Row> rows, tasks::OfJob(ground.db, job));
  for (const tasks::Row& task : rows) {
    if (task.state == TaskState::kQueued && task.key) {
      TYLLM_TRY(waiting::Renew(ground, *task.key));
    }
  }
  return OkStatus();
}

Status NoteChange(const Ground& ground, JobId job, const std::string& text, const std::string& by,
                  std::int64_t now) {
  TYLLM_ASSIGN(const jobs::Row row, jobs::Get(ground.db, job));
  if (IsFinal(row.state)) {
    return FailedPrecondition(job.ToString() + " has ended");
  }
  TYLLM_ASSIGN(const auto caller, callers::FindOrMake(ground.db, by));
  return ProgressJob(ground, job, {{.text = text, .task = std::nullopt, .caller = caller}}, now);
}

Result<std::vector<TaskId>> DeleteJob(const Ground& ground, JobId job) {
  TYLLM_ASSIGN(const jobs::Row row, jobs::Get(ground.db, job));
  if (!IsFinal(row.state)) {
    return FailedPrecondition(job.ToString() + " is " +
                              std::string(domain::kJobStateNames.Name(row.state)) +
                              "; cancel it first");
  }
  std::vector<TaskId> gone;
  TYLLM_ASSIGN(const std::vector<tasks::Row> rows, tasks::OfJob(ground.db, job));
  for (const tasks::Row& task : rows) {
    gone.push_back(task.id);
  }
  TYLLM_TRY(jobs::Delete(ground.db, job));
  return gone;
}

}  // namespace tyllm::server::store
