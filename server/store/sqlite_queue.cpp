// SPDX-License-Identifier: Apache-2.0
#include "server/store/sqlite_queue.h"

#include <utility>

#include "server/store/actions.h"
#include "server/store/attempt_life.h"
#include "server/store/attempts.h"
#include "server/store/checkpoints.h"
#include "server/store/database.h"
#include "server/store/database_check.h"
#include "server/store/decisions.h"
#include "server/store/enqueue.h"
#include "server/store/events.h"
#include "server/store/job_compiler.h"
#include "server/store/job_view.h"
#include "server/store/jobs.h"
#include "server/store/joining.h"
#include "server/store/lanes.h"
#include "server/store/made_results.h"
#include "server/store/pending.h"
#include "server/store/projects.h"
#include "server/store/requests.h"
#include "server/store/schema.h"
#include "server/store/sqlite_transactions.h"
#include "server/store/start_limits.h"
#include "server/store/task_record.h"
#include "server/store/tasks.h"
#include "server/store/workers.h"

namespace tyllm::server::store {

namespace {

class SqliteQueue final : public SqliteTransactions {
 public:
  using SqliteTransactions::SqliteTransactions;

  Result<std::unique_ptr<Queue>> OpenReader() override {
    TYLLM_ASSIGN(std::unique_ptr<Database> reader, db_.OpenReader());
    return std::unique_ptr<Queue>(std::make_unique<SqliteQueue>(
        std::move(reader), ground_.toolchain_version, ground_.fairness));
  }

  // --- Jobs.

  Result<std::optional<AnsweredRequest>> FindRequest(const std::string& request_id) override {
    return requests::Find(ground_, request_id);
  }

  Status NoteRequest(const std::string& request_id, const AnsweredRequest& answered,
                     std::int64_t now) override {
    return requests::Insert(ground_, request_id, answered, now);
  }

  Result<std::int64_t> ForgetRequests(std::int64_t before, std::int64_t limit) override {
    return requests::RemoveOld(ground_, before, limit);
  }

  Result<domain::JobView> EnqueueAndShow(const NewJob& job, std::int64_t now) override {
    return store::EnqueueAndShow(ground_, job, now);
  }

  Result<JobId> Enqueue(const NewJob& job, std::int64_t now) override {
    return store::Enqueue(ground_, job, now);
  }

  Result<domain::JobView> GetJob(JobId job) override { return ViewOf(db_, job); }

  Result<std::vector<domain::JobView>> ListJobs(const JobFilter& filter) override {
    return jobs::List(db_, filter);
  }

  Result<std::map<domain::JobState, std::int64_t>> CountJobs() override { return jobs::Count(db_); }

  Result<TaskCounts> CountTasks(std::int64_t now) override { return tasks::Count(db_, now); }

  Result<std::vector<std::string>> FindViolations() override { return CheckLive(db_); }

  Result<bool> KeysAreTrue() override { return AreTrue(db_, ground_.keys); }

  Result<std::vector<domain::JobEvent>> EventsAfter(JobId job, std::int64_t after,
                                                    std::int64_t limit) override {
    TYLLM_TRY(jobs::Get(db_, job).status());
    return events::After(db_, job, after, limit);
  }

  using Queue::CancelJob;

  Result<std::vector<JobId>> CancelJob(JobId job, const std::string& by,
                                       std::int64_t now) override {
    return store::CancelJob(ground_, job, by, now);
  }

  Status NoteEvent(TaskId task, const std::string& text, std::int64_t now) override {
    return store::NoteEvent(ground_, task, text, now);
  }

  Status NoteChange(JobId job, const std::string& text, const std::string& by,
                    std::int64_t now) override {
    return store::NoteChange(ground_, job, text, by, now);
  }

  Result<bool> SetCompiler(JobId job, const std::string& compiler, std::int64_t now) override {
    return store::SetCompiler(ground_, job, compiler, now);
  }

  Status FailQueued(TaskId task, const domain::Failure& failure, std::int64_t now) override {
    return store::FailQueued(ground_, task, failure, now);
  }

  Result<std::vector<JobId>> Unstarted(std::int64_t now, std::int64_t created_from,
                                       std::int64_t limit) override {
    return store::Unstarted(db_, now, created_from, limit);
  }

  Result<bool> GiveUp(JobId job, const domain::Failure& failure, std::int64_t now) override {
    return store::GiveUp(ground_, job, failure, now);
  }

  Status SetPriority(JobId job, std::int32_t priority) override {
    return store::SetPriority(ground_, job, priority);
  }

  Status SetLabels(JobId job, const std::map<std::string, std::string>& labels) override {
    TYLLM_TRY(jobs::Get(db_, job).status());
    return jobs::SetLabels(db_, job, labels);
  }

  Result<std::vector<TaskId>> DeleteJob(JobId job) override {
    return store::DeleteJob(ground_, job);
  }

  Result<std::vector<JobId>> EndedBefore(std::int64_t before, std::int64_t limit) override {
    return jobs::EndedBefore(db_, before, limit);
  }

  // --- What became of tasks, and why.

  Result<TaskRecord> GetTask(TaskId task) override { return RecordOf(db_, task); }

  Result<std::vector<domain::AttemptRecord>> Attempts(TaskId task) override {
    return attempts::Of(db_, task);
  }

  Status NoteDecision(TaskId task, const std::string& text, std::int64_t now) override {
    return decisions::Insert(db_, task, text, now);
  }

  Result<std::vector<domain::Decision>> Decisions(TaskId task) override {
    return decisions::Of(db_, task);
  }

  Result<std::vector<SeenAttempt>> SeenAttempts(std::int64_t limit) override {
    return attempts::Seen(db_, limit);
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
    return projects::SharesAt(db_, running_, now, ground_.fairness);
  }

  Result<sched::LaneKey> LaneKeyOf(TaskId task) override { return lanes::Of(db_, task); }

  Result<std::vector<PendingRecord>> Pending(JobId job) override { return PendingOf(db_, job); }

  Result<std::int64_t> CountBefore(std::int64_t lane, JobId job, std::int64_t limit) override {
    return lanes::CountBefore(db_, lane, job, limit);
  }

  Status CorrectTimes(std::int64_t now) override {
    TYLLM_TRY(requests::CorrectTimes(db_, now));
    TYLLM_TRY(CorrectStartLimits(db_, now));
    return store::CorrectQueuedTimes(db_, now);
  }

  // --- Projects.

  Result<ProjectRecord> GetProject(const std::string& name) override {
    return projects::Get(db_, name);
  }

  Result<std::vector<ProjectRecord>> ListProjects() override { return projects::List(db_); }

  Status SetProject(const domain::Project& project) override { return projects::Set(db_, project); }

  Result<std::int64_t> TreeBytes(const std::string& project, const BlobId& tree) override {
    return projects::TreeBytes(db_, project, tree);
  }

  Status AddTree(JobId job, const BlobId& tree, std::int64_t bytes) override {
    return projects::AddTree(db_, job, tree, bytes);
  }

  // --- Attempts.

  using Queue::StartAttempt;

  Result<Lease> StartAttempt(TaskId task, const WorkerSession& worker, std::int64_t now,
                             const sched::Reasons& why) override {
    return store::StartAttempt(ground_, task, worker, now, why);
  }

  Result<Lease> GetLease(const AttemptId& id) override { return store::GetLease(ground_, id); }

  Result<std::optional<HeldTask>> FindHeld(const AttemptId& id) override {
    return store::FindHeld(db_, id);
  }

  Result<std::vector<HeldTask>> AllHeld() override {
    TYLLM_ASSIGN(const std::vector<tasks::Row> rows, tasks::Held(db_));
    return AllToHeld(rows);
  }

  Result<std::vector<HeldTask>> HeldBy(const std::string& worker) override {
    TYLLM_ASSIGN(const std::vector<tasks::Row> rows, tasks::HeldBy(db_, worker));
    return AllToHeld(rows);
  }

  Status Adopt(const AttemptId& id, const std::string& session) override {
    return store::Adopt(db_, id, session);
  }

  Status Succeed(const AttemptId& id, const BlobId& output, std::optional<Sha256> key,
                 std::int64_t now) override {
    return store::Succeed(ground_, id, output, key, now);
  }

  Result<bool> Complete(const AttemptId& id, const Completed& made, std::int64_t now) override {
    return store::Complete(ground_, id, made, now);
  }

  Status EndAttempt(const AttemptId& id, sched::Ending ending, const sched::Verdict& verdict,
                    std::int64_t now) override {
    return store::EndAttempt(ground_, id, ending, verdict, now);
  }

  Status EndCancelled(const AttemptId& id, std::int64_t now) override {
    return store::EndCancelled(ground_, id, now);
  }

  Result<LogOwner> FindLog(TaskId task, domain::Attempt attempt) override {
    return LogOwnerOf(db_, task, attempt);
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
    return checkpoints::RemoveOld(ground_, before);
  }

  // --- Results by action key.

  Result<std::vector<CacheHit>> CacheHits(const HitFilter& which) override {
    return tasks::CacheHits(ground_, which);
  }

  Status SucceedFromCache(const CacheHit& hit, std::int64_t now) override {
    return store::SucceedFromCache(ground_, hit, now);
  }

  Status ForgetAction(const Sha256& key) override {
    TYLLM_TRY(actions::Remove(ground_, key));
    return tasks::NoteResult(ground_, key, false);
  }

  Result<std::int64_t> ForgetActions(std::int64_t before, std::int64_t limit) override {
    return actions::RemoveOld(ground_, before, limit);
  }

  Result<ResultsLookedAt> LookAtResults(const domain::ResultSelection& which, std::int64_t after,
                                        std::int64_t limit, bool forget) override {
    TYLLM_ASSIGN(const made_results::Found found, made_results::Results(db_, which, after, limit));
    for (const Sha256& key : found.keys) {
      TYLLM_TRY(forget ? ForgetAction(key) : OkStatus());
    }
    return found.looked_at;
  }

  Result<std::int64_t> LookAtUnfinished(const domain::ResultSelection& which,
                                        bool forget) override {
    TYLLM_ASSIGN(const std::vector<Sha256> keys, made_results::Unfinished(db_, which));
    for (const Sha256& key : keys) {
      TYLLM_TRY(forget ? checkpoints::Remove(db_, key) : OkStatus());
    }
    return static_cast<std::int64_t>(keys.size());
  }

  Result<std::optional<BlobId>> FindResult(const Sha256& key) override {
    TYLLM_ASSIGN(const std::optional<actions::Entry> entry, actions::Find(ground_, key));
    return entry ? std::optional(entry->output) : std::nullopt;
  }

  Result<std::optional<TaskId>> FindRunning(const Sha256& key) override {
    return tasks::FindRunning(db_, key);
  }

  Result<std::vector<BlobId>> TreesInUse() override { return projects::TreesInUse(db_); }

  // --- Workers.

  Status StartSession(const WorkerSession& worker, const domain::Capabilities& capabilities,
                      std::int64_t now) override {
    return workers::StartSession(db_, worker, capabilities, now,
                                 sched::RateOf(capabilities, ground_.fairness));
  }

  Result<std::vector<WorkerRecord>> ListWorkers() override { return workers::List(db_); }

  Status SetWorkerMode(const std::string& worker, const domain::ModeOrder& order) override {
    return workers::SetMode(db_, worker, order);
  }

  Status ForgetWorker(const std::string& worker) override { return workers::Forget(db_, worker); }
};

}  // namespace

Result<std::unique_ptr<Queue>> OpenSqliteQueue(const SqliteOptions& options) {
  TYLLM_ASSIGN(std::unique_ptr<Database> database,
               Database::Open(options.file.string(), options.vfs));
  if (!options.copies.empty()) {
    TYLLM_TRY(CopyBeforeMigration(*database, options.copies));
  }
  TYLLM_TRY(Migrate(*database).Annotate(options.file.string()));
  auto queue = std::make_unique<SqliteQueue>(std::move(database), options.toolchain_version,
                                             options.fairness);
  TYLLM_TRY(queue->Load().Annotate(options.file.string()));
  return std::unique_ptr<Queue>(std::move(queue));
}

}  // namespace tyllm::server::store
