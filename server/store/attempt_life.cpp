// SPDX-License-Identifier: Apache-2.0
#include "server/store/attempt_life.h"

#include <algorithm>

#include "server/store/actions.h"
#include "server/store/attempts.h"
#include "server/store/checkpoints.h"
#include "server/store/job_progress.h"
#include "server/store/jobs.h"
#include "server/store/lanes.h"
#include "server/store/projects.h"
#include "server/store/rows_json.h"
#include "server/store/workers.h"

namespace tyllm::server::store {

namespace {

using domain::TaskState;

events::Draft Tell(const tasks::Row& row, TaskState state, const std::string& what) {
  return {.text = row.label + what, .task = row.id, .task_state = state, .attempt = row.attempt};
}

std::string Number(domain::Attempt attempt) {
  return "attempt " + std::to_string(attempt);
}

Status Progress(const Ground& ground, const tasks::Row& row, TaskState state,
                const std::string& what, std::int64_t now) {
  return ProgressJob(ground, row.job, {Tell(row, state, what)}, now);
}

// What the attempt that ends now has cost, which its project is charged.
Result<double> ChargeProject(const Ground& ground, const tasks::Row& row, std::int64_t now) {
  const auto ran = static_cast<double>(std::max<std::int64_t>(0, now - row.started_ms));
  const double seconds = ran / 1000 * row.rate;
  TYLLM_ASSIGN(const std::string project, lanes::ProjectOf(ground.db, row.lane));
  TYLLM_TRY(projects::Charge(ground.db, project, seconds, now, ground.fairness));
  return seconds;
}

Status Charge(const Ground& ground, const tasks::Row& row, std::int64_t now) {
  TYLLM_ASSIGN(const double seconds, ChargeProject(ground, row, now));
  return tasks::AddDeviceSeconds(ground.db, row, seconds);
}

/// A task among those of its job.
struct Place {
  std::vector<tasks::Row> rows;
  std::size_t index = 0;

  tasks::Row& row() { return rows[index]; }
};

Result<Place> FindPlace(Database& db, TaskId task) {
  Place place;
  TYLLM_ASSIGN(place.rows, tasks::BesideTask(db, task));
  const auto row = std::ranges::find(place.rows, task, &tasks::Row::id);
  place.index = static_cast<std::size_t>(row - place.rows.begin());
  return place;
}

Status CheckCurrent(const tasks::Row& row, const AttemptId& id) {
  if (row.attempt != id.attempt || !IsHeld(row.state)) {
    return Aborted(id.ToString() + " is over: the task is " +
                   std::string(domain::kTaskStateNames.Name(row.state)) + ", " +
                   Number(row.attempt));
  }
  return OkStatus();
}

Status Progress(const Ground& ground, Place& place, const std::string& what, std::int64_t now) {
  const tasks::Row& row = place.row();
  return ProgressJob(ground, place.rows, {Tell(row, row.state, what)}, now);
}

Result<std::map<std::string, BlobId>> InputsOf(Place& place) {
  TYLLM_ASSIGN(const std::vector<domain::TaskInput> inputs, tasks::InputsOf(place.row()));
  return ResolveInputs(place.rows, place.row().id, inputs);
}

Result<Sha256> KeyUnder(Place& place, std::string_view toolchain_version) {
  TYLLM_ASSIGN(const auto spec, FromColumn<domain::TaskSpec>(place.row().spec, "tasks.spec"));
  TYLLM_ASSIGN(const auto inputs, InputsOf(place));
  return domain::ActionKey(spec, inputs, toolchain_version);
}

Result<Lease> LeaseOf(const Ground& ground, Place& place) {
  const tasks::Row& row = place.row();
  Lease lease{.id = row.attempt_id(), .job = row.job, .label = row.label, .spec = {}, .inputs = {}};
  TYLLM_ASSIGN(lease.spec, FromColumn<domain::TaskSpec>(row.spec, "tasks.spec"));
  TYLLM_ASSIGN(lease.inputs, InputsOf(place));
  TYLLM_ASSIGN(lease.checkpoint, checkpoints::Find(ground.db, row));
  return lease;
}

// Of a task that is leased.
Status SetSucceeded(const Ground& ground, Place& place, const BlobId& output,
                    const std::optional<Sha256>& key, const domain::Resources& used,
                    std::int64_t now) {
  tasks::Row& row = place.row();
  TYLLM_ASSIGN(const double seconds, ChargeProject(ground, row, now));
  TYLLM_TRY(tasks::SetSucceeded(ground, row, output, seconds, now));
  TYLLM_TRY(checkpoints::Remove(ground.db, row));
  TYLLM_TRY(
      attempts::End(ground.db, row.attempt_id(), sched::Ending::kSucceeded, now, {.used = used}));
  if (key) {
    TYLLM_TRY(actions::Put(ground, *key, output, row.id, now));
    TYLLM_TRY(tasks::NoteResult(ground, *key, true));
  }
  row.state = TaskState::kSucceeded;
  row.output = output;
  return Progress(ground, place, " succeeded", now);
}

}  // namespace

HeldTask ToHeld(const tasks::Row& row) {
  return {row.attempt_id(), row.job, row.kind, row.state, row.holder, row.spent, row.started_ms};
}

std::vector<HeldTask> AllToHeld(const std::vector<tasks::Row>& rows) {
  std::vector<HeldTask> held;
  for (const tasks::Row& row : rows) {
    held.push_back(ToHeld(row));
  }
  return held;
}

Result<tasks::Row> GetCurrent(Database& db, const AttemptId& id) {
  TYLLM_ASSIGN(tasks::Row row, tasks::Get(db, id.task));
  TYLLM_TRY(CheckCurrent(row, id));
  return row;
}

Result<std::optional<HeldTask>> FindHeld(Database& db, const AttemptId& id) {
  auto row = GetCurrent(db, id);
  if (row.ok()) {
    return std::optional(ToHeld(*row));
  }
  const StatusCode code = row.status().code();
  if (code == StatusCode::kNotFound || code == StatusCode::kAborted) {
    return std::optional<HeldTask>();
  }
  return row.status();
}

Result<Lease> StartAttempt(const Ground& ground, TaskId task, const WorkerSession& worker,
                           std::int64_t now, const sched::Reasons& why) {
  TYLLM_TRY(workers::CheckNotReplaced(ground.db, worker));
  TYLLM_ASSIGN(Place place, FindPlace(ground.db, task));
  tasks::Row& row = place.row();
  if (row.state != TaskState::kQueued) {
    return Aborted(task.ToString() + " is " + std::string(domain::kTaskStateNames.Name(row.state)) +
                   ", not queued");
  }
  TYLLM_TRY(tasks::SetLeased(ground, row, worker, now));
  row.state = TaskState::kLeased;
  ++row.attempt;
  TYLLM_ASSIGN(Lease lease, LeaseOf(ground, place));
  sched::Reasons reasons = why;
  reasons.goes_on = lease.checkpoint.has_value();
  TYLLM_TRY(attempts::Insert(ground.db, lease.id, worker, reasons, now));
  TYLLM_TRY(Progress(ground, place,
                     " started on worker " + worker.worker + " (" + Number(row.attempt) + ")",
                     now));
  return lease;
}

Status Adopt(Database& db, const AttemptId& id, const std::string& session) {
  TYLLM_ASSIGN(const tasks::Row row, GetCurrent(db, id));
  TYLLM_TRY(workers::CheckNotReplaced(db, {row.holder.worker, session}));
  TYLLM_TRY(tasks::SetSession(db, row, session));
  return attempts::SetSession(db, id, session);
}

Result<Lease> GetLease(const Ground& ground, const AttemptId& id) {
  TYLLM_ASSIGN(Place place, FindPlace(ground.db, id.task));
  TYLLM_TRY(CheckCurrent(place.row(), id));
  return LeaseOf(ground, place);
}

Status Succeed(const Ground& ground, const AttemptId& id, const BlobId& output,
               std::optional<Sha256> key, std::int64_t now) {
  TYLLM_ASSIGN(Place place, FindPlace(ground.db, id.task));
  TYLLM_TRY(CheckCurrent(place.row(), id));
  return place.row().state == TaskState::kCancelling
             ? EndCancelled(ground, id, now)
             : SetSucceeded(ground, place, output, key, {}, now);
}

Result<bool> Complete(const Ground& ground, const AttemptId& id, const Completed& made,
                      std::int64_t now) {
  Result<Place> found = FindPlace(ground.db, id.task);
  if (found.status().code() == StatusCode::kNotFound) {
    return false;
  }
  TYLLM_ASSIGN(Place place, std::move(found));
  const tasks::Row& row = place.row();
  if (!CheckCurrent(row, id).ok()) {
    return false;
  }
  if (row.state == TaskState::kCancelling) {
    TYLLM_TRY(EndCancelled(ground, id, now));
    return true;
  }
  TYLLM_TRY(projects::AddTree(ground.db, row.job, made.output, made.bytes));
  std::optional<Sha256> key = made.key;
  if (!key) {
    TYLLM_ASSIGN(key, KeyUnder(place, made.toolchain_version));
  }
  TYLLM_TRY(SetSucceeded(ground, place, made.output, key, made.used, now));
  return true;
}

Status SucceedFromCache(const Ground& ground, const CacheHit& hit, std::int64_t now) {
  TYLLM_ASSIGN(const tasks::Row row, tasks::Get(ground.db, hit.task));
  if (row.state != TaskState::kQueued) {
    return Aborted(hit.task.ToString() + " is not queued");
  }
  TYLLM_ASSIGN(const std::optional<actions::Entry> entry, actions::Find(ground, hit.key));
  std::optional<TaskId> made_by;
  if (entry) {
    made_by = entry->task;
  }
  TYLLM_TRY(tasks::SetCached(ground, row, hit.output, made_by, now));
  TYLLM_TRY(actions::Touch(ground, hit.key, now));
  return Progress(ground, row, TaskState::kSucceeded, " succeeded: its result was there already",
                  now);
}

Status EndAttempt(const Ground& ground, const AttemptId& id, sched::Ending ending,
                  const sched::Verdict& verdict, std::int64_t now) {
  TYLLM_ASSIGN(const tasks::Row row, GetCurrent(ground.db, id));
  if (row.state == TaskState::kCancelling) {
    return EndCancelled(ground, id, now);
  }
  TYLLM_TRY(Charge(ground, row, now));
  if (verdict.again && verdict.needs_gpu_memory > 0) {
    TYLLM_TRY(lanes::AskForGpuMemory(ground.db, id.task, verdict.needs_gpu_memory));
  }
  TYLLM_TRY(tasks::SetJudged(ground, row, verdict, now));
  TYLLM_TRY(
      attempts::End(ground.db, id, ending, now,
                    {.failure = &verdict.failure,
                     .gpu_too_small = std::max<std::int64_t>(0, verdict.needs_gpu_memory - 1)}));
  const std::string why = ": " + verdict.failure.reason + ": " + verdict.failure.message;
  if (verdict.again) {
    return Progress(ground, row, TaskState::kQueued,
                    " is queued again after " + Number(id.attempt) + why, now);
  }
  TYLLM_TRY(jobs::SetFailure(ground.db, row.job, verdict.failure));
  return Progress(ground, row, TaskState::kFailed, " failed" + why, now);
}

Status EndCancelled(const Ground& ground, const AttemptId& id, std::int64_t now) {
  TYLLM_ASSIGN(const tasks::Row row, GetCurrent(ground.db, id));
  if (row.state != TaskState::kCancelling) {
    return Aborted(id.ToString() + " is not being cancelled");
  }
  TYLLM_TRY(Charge(ground, row, now));
  TYLLM_TRY(tasks::SetCancelled(ground, row, TaskState::kCancelled, now));
  TYLLM_TRY(attempts::End(ground.db, id, sched::Ending::kStopped, now, {}));
  return Progress(ground, row, TaskState::kCancelled, " has stopped", now);
}

Status NoteEvent(const Ground& ground, TaskId task, const std::string& text, std::int64_t now) {
  TYLLM_ASSIGN(const tasks::Row row, tasks::Get(ground.db, task));
  TYLLM_ASSIGN(const jobs::Row job, jobs::Get(ground.db, row.job));
  if (IsFinal(job.state)) {
    return Aborted(row.job.ToString() + " has ended");
  }
  return Progress(ground, row, row.state, ": " + text, now);
}

}  // namespace tyllm::server::store
