// SPDX-License-Identifier: Apache-2.0
#include "server/store/sqlite_queue.h"

#include <algorithm>
#include <utility>

#include "server/store/actions.h"
#include "server/store/attempts.h"
#include "server/store/checkpoints.h"
#include "server/store/database.h"
#include "server/store/events.h"
#include "server/store/job_progress.h"
#include "server/store/job_view.h"
#include "server/store/jobs.h"
#include "server/store/joining.h"
#include "server/store/lanes.h"
#include "server/store/pending.h"
#include "server/store/projects.h"
#include "server/store/requests.h"
#include "server/store/rows_json.h"
#include "server/store/schema.h"
#include "server/store/tasks.h"
#include "server/store/workers.h"

namespace tyllm::server::store {

namespace {

using domain::TaskState;

constexpr Sql kSetMark{"SAVEPOINT operation"};
constexpr Sql kKeepMark{"RELEASE operation"};
constexpr Sql kRevertToMark{"ROLLBACK TO operation"};
constexpr Sql kProbe{
    "INSERT INTO probes(id, at_ms) VALUES(1, ?1) ON CONFLICT(id) DO UPDATE SET "
    "at_ms = excluded.at_ms"};

events::Draft Tell(const tasks::Row& row, TaskState state, const std::string& what) {
  return {.text = row.label + what, .task = row.id, .task_state = state, .attempt = row.attempt};
}

std::string Number(domain::Attempt attempt) {
  return "attempt " + std::to_string(attempt);
}

HeldTask ToHeld(const tasks::Row& row) {
  return {row.attempt_id(), row.job, row.kind, row.state, row.holder, row.spent, row.started_ms};
}

std::vector<HeldTask> ToHeld(const std::vector<tasks::Row>& rows) {
  std::vector<HeldTask> held;
  for (const tasks::Row& row : rows) {
    held.push_back(ToHeld(row));
  }
  return held;
}

// The attempt's row while the attempt is the task's current one and runs.
Result<tasks::Row> GetCurrent(Database& db, const AttemptId& id) {
  TYLLM_ASSIGN(tasks::Row row, tasks::Get(db, id.task));
  if (row.attempt != id.attempt || !IsHeld(row.state)) {
    return Aborted(id.ToString() + " is over: the task is " +
                   std::string(domain::kTaskStateNames.Name(row.state)) + ", " +
                   Number(row.attempt));
  }
  return row;
}

class SqliteQueue final : public Queue {
 public:
  SqliteQueue(std::unique_ptr<Database> database, const SqliteOptions& options)
      : database_(std::move(database)),
        db_(*database_),
        toolchain_version_(options.toolchain_version),
        fairness_(options.fairness) {}

  Status Begin() override { return db_.Begin(); }

  Result<bool> Commit() override { return db_.Commit(); }

  void Rollback() override { db_.Rollback(); }

  Status SetMark() override { return db_.Change(kSetMark).status(); }

  Status KeepMark() override { return db_.Change(kKeepMark).status(); }

  Status RevertToMark() override {
    TYLLM_TRY(db_.Change(kRevertToMark).status());
    return db_.Change(kKeepMark).status();
  }

  Status broken() const override { return db_.broken(); }

  std::int64_t schema_version() const override { return SchemaVersion(); }

  Status Probe(std::int64_t now) override { return db_.Change(kProbe, now).status(); }

  // --- Jobs.

  Result<std::optional<JobId>> FindRequest(const std::string& request_id) override {
    return requests::Find(db_, request_id);
  }

  Result<JobId> Enqueue(const NewJob& job, std::int64_t now) override {
    TYLLM_ASSIGN(const JobId id, jobs::Insert(db_, job.spec, job.plan.outputs, now));
    TYLLM_TRY(requests::Insert(db_, job.request_id, id, now));
    std::int64_t position = 0;
    for (const domain::PlannedTask& task : job.plan.tasks) {
      TYLLM_ASSIGN(const std::int64_t lane, lanes::FindOrMake(db_, lanes::KeyOf(job.spec, task)));
      TYLLM_TRY(tasks::Insert(db_, id, position++, task, !job.spec.no_cache, lane).status());
    }
    const std::string text = "job accepted: " + std::to_string(position) + " tasks";
    TYLLM_TRY(ProgressJob(db_, id, {{.text = text, .task = {}}}, toolchain_version_, now));
    return id;
  }

  Result<domain::JobView> GetJob(JobId job) override { return ViewOf(db_, job); }

  Result<std::vector<domain::JobView>> ListJobs(const JobFilter& filter) override {
    TYLLM_ASSIGN(const std::vector<jobs::Row> rows, jobs::List(db_, filter));
    std::vector<domain::JobView> views;
    for (const jobs::Row& row : rows) {
      TYLLM_ASSIGN(domain::JobView view, jobs::ToView(row));
      views.push_back(std::move(view));
    }
    return views;
  }

  Result<std::map<domain::JobState, std::int64_t>> CountJobs() override { return jobs::Count(db_); }

  Result<TaskCounts> CountTasks(std::int64_t now) override { return tasks::Count(db_, now); }

  Result<std::vector<domain::JobEvent>> EventsAfter(JobId job, std::int64_t after,
                                                    std::int64_t limit) override {
    TYLLM_TRY(jobs::Get(db_, job).status());
    return events::After(db_, job, after, limit);
  }

  Result<std::vector<JobId>> CancelJob(JobId job, std::int64_t now) override {
    return store::CancelJob(db_, job, toolchain_version_, now);
  }

  Status NoteEvent(TaskId task, const std::string& text, std::int64_t now) override {
    TYLLM_ASSIGN(const tasks::Row row, tasks::Get(db_, task));
    TYLLM_ASSIGN(const jobs::Row job, jobs::Get(db_, row.job));
    if (IsFinal(job.state)) {
      return Aborted(row.job.ToString() + " has ended");
    }
    return ProgressJob(db_, row.job, {Tell(row, row.state, ": " + text)}, toolchain_version_, now);
  }

  Status SetPriority(JobId job, std::int32_t priority) override {
    TYLLM_ASSIGN(const jobs::Row row, jobs::Get(db_, job));
    if (IsFinal(row.state)) {
      return FailedPrecondition(job.ToString() + " has ended");
    }
    return lanes::MoveJob(db_, job, priority);
  }

  // --- Who is next.

  Result<std::vector<sched::Lane>> Lanes(std::int64_t now) override {
    return lanes::Waiting(db_, now);
  }

  Result<std::vector<sched::Candidate>> Candidates(std::int64_t lane, std::int64_t now,
                                                   std::int64_t limit) override {
    return tasks::Candidates(db_, lane, now, limit);
  }

  Result<sched::Shares> Shares(std::int64_t now) override {
    return projects::SharesAt(db_, now, fairness_);
  }

  Result<std::vector<PendingRecord>> Pending(JobId job) override { return PendingOf(db_, job); }

  Result<std::int64_t> CountBefore(std::int64_t lane, JobId job, std::int64_t limit) override {
    return lanes::CountBefore(db_, lane, job, limit);
  }

  // --- Projects.

  Result<ProjectRecord> GetProject(const std::string& name) override {
    return projects::Get(db_, name);
  }

  Result<std::vector<ProjectRecord>> ListProjects() override { return projects::List(db_); }

  Status SetProject(const domain::Project& project) override { return projects::Set(db_, project); }

  Status AddTree(JobId job, const BlobId& tree, std::int64_t bytes) override {
    return projects::AddTree(db_, job, tree, bytes);
  }

  // --- Attempts.

  Result<Lease> StartAttempt(TaskId task, const WorkerSession& worker, std::int64_t now) override {
    TYLLM_ASSIGN(tasks::Row row, tasks::Get(db_, task));
    if (row.state != TaskState::kQueued) {
      return Aborted(task.ToString() + " is " +
                     std::string(domain::kTaskStateNames.Name(row.state)) + ", not queued");
    }
    TYLLM_TRY(tasks::SetLeased(db_, row, worker, now));
    ++row.attempt;
    TYLLM_TRY(attempts::Insert(db_, row.attempt_id(), worker, now));
    TYLLM_TRY(ProgressJob(
        db_, row.job,
        {Tell(row, TaskState::kLeased,
              " started on worker " + worker.worker + " (" + Number(row.attempt) + ")")},
        toolchain_version_, now));
    return GetLease(row.attempt_id());
  }

  Result<Lease> GetLease(const AttemptId& id) override {
    TYLLM_ASSIGN(const tasks::Row row, GetCurrent(db_, id));
    TYLLM_ASSIGN(const std::vector<tasks::Row> job_tasks, tasks::OfJob(db_, row.job));
    Lease lease{.id = id, .job = row.job, .label = row.label, .spec = {}, .inputs = {}};
    TYLLM_ASSIGN(lease.spec, FromColumn<domain::TaskSpec>(row.spec, "tasks.spec"));
    TYLLM_ASSIGN(lease.inputs, ResolveInputs(job_tasks, row));
    TYLLM_ASSIGN(lease.checkpoint, checkpoints::Find(db_, row));
    return lease;
  }

  Result<std::optional<HeldTask>> FindHeld(const AttemptId& id) override {
    auto row = GetCurrent(db_, id);
    if (row.ok()) {
      return std::optional(ToHeld(*row));
    }
    const StatusCode code = row.status().code();
    if (code == StatusCode::kNotFound || code == StatusCode::kAborted) {
      return std::optional<HeldTask>();
    }
    return row.status();
  }

  Result<std::vector<HeldTask>> AllHeld() override {
    TYLLM_ASSIGN(const std::vector<tasks::Row> rows, tasks::Held(db_));
    return ToHeld(rows);
  }

  Result<std::vector<HeldTask>> HeldBy(const std::string& worker) override {
    TYLLM_ASSIGN(const std::vector<tasks::Row> rows, tasks::HeldBy(db_, worker));
    return ToHeld(rows);
  }

  Status Adopt(const AttemptId& id, const std::string& session) override {
    TYLLM_ASSIGN(const tasks::Row row, GetCurrent(db_, id));
    TYLLM_TRY(tasks::SetSession(db_, row, session));
    return attempts::SetSession(db_, id, session);
  }

  Status Succeed(const AttemptId& id, const BlobId& output, std::optional<Sha256> key,
                 std::int64_t now) override {
    TYLLM_ASSIGN(const tasks::Row row, GetCurrent(db_, id));
    if (row.state == TaskState::kCancelling) {
      return EndCancelled(id, now);
    }
    TYLLM_TRY(Charge(row, now));
    TYLLM_TRY(tasks::SetSucceeded(db_, row, output, false, now));
    TYLLM_TRY(checkpoints::Remove(db_, row));
    TYLLM_TRY(attempts::End(db_, id, sched::Ending::kSucceeded, now));
    if (key) {
      TYLLM_TRY(actions::Put(db_, *key, output, id.task, now));
      TYLLM_TRY(tasks::NoteResult(db_, *key, true));
    }
    return ProgressJob(db_, row.job, {Tell(row, TaskState::kSucceeded, " succeeded")},
                       toolchain_version_, now);
  }

  Status EndAttempt(const AttemptId& id, sched::Ending ending, const sched::Verdict& verdict,
                    std::int64_t now) override {
    TYLLM_ASSIGN(const tasks::Row row, GetCurrent(db_, id));
    if (row.state == TaskState::kCancelling) {
      return EndCancelled(id, now);
    }
    TYLLM_TRY(Charge(row, now));
    if (verdict.again && verdict.needs_gpu_memory > 0) {
      TYLLM_TRY(lanes::AskForGpuMemory(db_, id.task, verdict.needs_gpu_memory));
    }
    TYLLM_TRY(tasks::SetJudged(db_, row, verdict, now));
    TYLLM_TRY(attempts::End(db_, id, ending, now));
    const std::string why = ": " + verdict.failure.reason + ": " + verdict.failure.message;
    if (verdict.again) {
      return ProgressJob(
          db_, row.job,
          {Tell(row, TaskState::kQueued, " is queued again after " + Number(id.attempt) + why)},
          toolchain_version_, now);
    }
    TYLLM_TRY(jobs::SetFailure(db_, row.job, verdict.failure));
    return ProgressJob(db_, row.job, {Tell(row, TaskState::kFailed, " failed" + why)},
                       toolchain_version_, now);
  }

  Result<std::vector<std::string>> LostBy(TaskId task) override { return tasks::LostBy(db_, task); }

  Status EndCancelled(const AttemptId& id, std::int64_t now) override {
    TYLLM_ASSIGN(const tasks::Row row, GetCurrent(db_, id));
    if (row.state != TaskState::kCancelling) {
      return Aborted(id.ToString() + " is not being cancelled");
    }
    TYLLM_TRY(Charge(row, now));
    TYLLM_TRY(tasks::SetCancelled(db_, row, TaskState::kCancelled, now));
    TYLLM_TRY(attempts::End(db_, id, sched::Ending::kStopped, now));
    return ProgressJob(db_, row.job, {Tell(row, TaskState::kCancelled, " has stopped")},
                       toolchain_version_, now);
  }

  Result<LogOwner> FindLog(TaskId task, domain::Attempt attempt) override {
    TYLLM_ASSIGN(const tasks::Row row, tasks::Get(db_, task));
    LogOwner owner{.job = row.job, .attempt = attempt == 0 ? row.attempt : attempt};
    if (owner.attempt == 0) {
      owner.ended = IsFinal(row.state);
      return owner;
    }
    TYLLM_ASSIGN(owner.ended, attempts::HasEnded(db_, {task, owner.attempt}));
    return owner;
  }

  // --- Unfinished work.

  Status KeepCheckpoint(const AttemptId& id, const domain::Checkpoint& checkpoint,
                        std::int64_t now) override {
    TYLLM_ASSIGN(const tasks::Row row, GetCurrent(db_, id));
    return checkpoints::Put(db_, row, checkpoint, now);
  }

  Status ForgetCheckpoint(TaskId task) override {
    TYLLM_ASSIGN(const tasks::Row row, tasks::Get(db_, task));
    return checkpoints::Remove(db_, row);
  }

  Result<std::int64_t> ForgetCheckpoints(std::int64_t before) override {
    return checkpoints::RemoveOld(db_, before);
  }

  // --- Results by action key.

  Result<std::vector<CacheHit>> CacheHits(std::int64_t limit) override {
    return tasks::CacheHits(db_, limit);
  }

  Status SucceedFromCache(const CacheHit& hit, std::int64_t now) override {
    TYLLM_ASSIGN(const tasks::Row row, tasks::Get(db_, hit.task));
    if (row.state != TaskState::kQueued) {
      return Aborted(hit.task.ToString() + " is not queued");
    }
    TYLLM_TRY(tasks::SetSucceeded(db_, row, hit.output, true, now));
    return ProgressJob(
        db_, row.job,
        {Tell(row, TaskState::kSucceeded, " succeeded: its result was there already")},
        toolchain_version_, now);
  }

  Status ForgetAction(const Sha256& key) override {
    TYLLM_TRY(actions::Remove(db_, key));
    return tasks::NoteResult(db_, key, false);
  }

  // --- Workers.

  Status StartSession(const WorkerSession& worker, const domain::Capabilities& capabilities,
                      std::int64_t now) override {
    return workers::StartSession(db_, worker, capabilities, now,
                                 sched::RateOf(capabilities, fairness_));
  }

  Result<std::vector<WorkerRecord>> ListWorkers() override { return workers::List(db_); }

  Status SetWorkerMode(const std::string& worker, const domain::ModeOrder& order) override {
    return workers::SetMode(db_, worker, order);
  }

 private:
  // What the attempt that ends now has cost.
  Status Charge(const tasks::Row& row, std::int64_t now) {
    const auto ran = static_cast<double>(std::max<std::int64_t>(0, now - row.started_ms));
    const double seconds = ran / 1000 * row.rate;
    TYLLM_TRY(tasks::AddDeviceSeconds(db_, row, seconds));
    TYLLM_ASSIGN(const sched::LaneKey lane, lanes::Get(db_, row.lane));
    return projects::Charge(db_, lane.project, seconds, now, fairness_);
  }

  std::unique_ptr<Database> database_;
  Database& db_;
  std::string toolchain_version_;
  sched::Fairness fairness_;
};

}  // namespace

Result<std::unique_ptr<Queue>> OpenSqliteQueue(const SqliteOptions& options) {
  TYLLM_ASSIGN(std::unique_ptr<Database> database,
               Database::Open(options.file.string(), options.vfs));
  TYLLM_TRY(Migrate(*database).Annotate(options.file.string()));
  return std::unique_ptr<Queue>(std::make_unique<SqliteQueue>(std::move(database), options));
}

}  // namespace tyllm::server::store
