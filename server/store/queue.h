// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/file_system.h"
#include "common/base/result.h"
#include "server/sched/placement.h"
#include "server/sched/reasons.h"
#include "server/sched/shares.h"
#include "server/store/log_sync.h"
#include "server/store/queue_records.h"

namespace tyllm::server::store {

/// The durable queue, as the one thread sees that may touch it. Between Begin and Commit; nothing
/// is durable, and nothing may be told to anybody, before Commit has returned OK (after
/// OpenLogSync: before a sync that came later has). Every change writes its job_events. Time is the
/// caller's, in milliseconds since 1970.
///
/// Errors: kNotFound names what is not there; kAborted: the task is not in the state that the call
/// supposes (a compare-and-set lost); kResourceExhausted: the disk is full; kUnavailable: the
/// storage is broken.
class Queue {
 public:
  virtual ~Queue() = default;

  /// The same queue for one other thread, that only looks: within Begin and Rollback it sees what
  /// was committed before, and changes fail. Goes away before this one. Null: there is none.
  virtual Result<std::unique_ptr<Queue>> OpenReader() { return std::unique_ptr<Queue>(); }

  /// From now on a commit is durable only after a later call of what is returned: for one other
  /// thread, beside this one. Goes away before this. Null: Commit itself makes it durable.
  virtual Result<std::unique_ptr<LogSync>> OpenLogSync() { return std::unique_ptr<LogSync>(); }

  // A transaction, and marks within it to which one operation can be undone.
  virtual Status Begin() = 0;
  /// True when anything was changed. After an error the transaction is to be rolled back.
  virtual Result<bool> Commit() = 0;
  virtual void Rollback() = 0;
  /// Jobs that the transaction which was committed last has ended, in the order of their ends;
  /// once.
  virtual std::vector<EndedJob> TakeEnded() = 0;
  virtual Status SetMark() = 0;
  virtual Status KeepMark() = 0;
  virtual Status RevertToMark() = 0;
  /// Two equal answers within a transaction: nothing was changed in between.
  virtual std::int64_t changes() const = 0;
  /// Not OK once the storage is broken for good: every later call fails.
  virtual Status broken() const = 0;
  virtual std::int64_t schema_version() const = 0;
  /// A small write, to see whether writing works again.
  virtual Status Probe(std::int64_t now) = 0;

  // A copy of the whole queue, made between transactions: changes meanwhile go into it too.
  /// `to` must not be there. One copy at a time: kFailedPrecondition.
  virtual Status BeginCopy(const Path& to) = 0;
  /// True when the copy is complete and durable. After an error the copy has ended.
  virtual Result<bool> CopySome(int pages) = 0;

  // Jobs.
  /// Not of a reader: kInternal.
  virtual Result<std::optional<AnsweredRequest>> FindRequest(const std::string& request_id) = 0;
  /// Of a change other than Enqueue, which notes its own.
  virtual Status NoteRequest(const std::string& request_id, const AnsweredRequest& answered,
                             std::int64_t now) = 0;
  /// At most `limit` of those noted before that time; how many.
  virtual Result<std::int64_t> ForgetRequests(std::int64_t before, std::int64_t limit) = 0;
  /// The new job, as GetJob gives it.
  virtual Result<domain::JobView> EnqueueAndShow(const NewJob& job, std::int64_t now) = 0;
  /// As EnqueueAndShow, for who does not look at it.
  virtual Result<JobId> Enqueue(const NewJob& job, std::int64_t now) = 0;

  virtual Result<domain::JobView> GetJob(JobId job) = 0;
  /// In the filter's order, without tasks and outputs.
  virtual Result<std::vector<domain::JobView>> ListJobs(const JobFilter& filter) = 0;
  virtual Result<std::map<domain::JobState, std::int64_t>> CountJobs() = 0;
  virtual Result<std::vector<domain::JobEvent>> EventsAfter(JobId job, std::int64_t after,
                                                            std::int64_t limit) = 0;
  /// Nothing for a job that has ended. Attempts whose result other jobs wait for go on as theirs:
  /// those jobs are returned. `by`: who asks for it; may be empty.
  virtual Result<std::vector<JobId>> CancelJob(JobId job, const std::string& by,
                                               std::int64_t now) = 0;

  /// For who is known by no name.
  Result<std::vector<JobId>> CancelJob(JobId job, std::int64_t now) {
    return CancelJob(job, std::string(), now);
  }

  /// Something that people should know of a task; the state of nothing changes.
  virtual Status NoteEvent(TaskId task, const std::string& text, std::int64_t now) = 0;
  /// What somebody has changed of a job; the state of nothing changes. kFailedPrecondition for one
  /// that has ended.
  virtual Status NoteChange(JobId job, const std::string& text, const std::string& by,
                            std::int64_t now) = 0;
  /// All programs of the job are made with this compiler. False, and nothing done, when some were
  /// or are being made with another, and when nothing changes.
  virtual Result<bool> SetCompiler(JobId job, const std::string& compiler, std::int64_t now) = 0;
  /// A queued task fails without an attempt.
  virtual Status FailQueued(TaskId task, const domain::Failure& failure, std::int64_t now) = 0;
  /// At most `limit` jobs of which none has begun by its limit (JobSpec::start_within_ms), that
  /// were queued at `created_from` or later; the first that was to be begun first.
  virtual Result<std::vector<JobId>> Unstarted(std::int64_t now, std::int64_t created_from,
                                               std::int64_t limit) = 0;
  /// Such a job ends: failed. False, and nothing ended, when it has begun or has time; also when
  /// what it waits for is made by others: then it has no limit any more.
  virtual Result<bool> GiveUp(JobId job, const domain::Failure& failure, std::int64_t now) = 0;
  /// kFailedPrecondition for a job that has ended.
  virtual Status SetPriority(JobId job, std::int32_t priority) = 0;
  /// In place of those it has; also of a job that has ended.
  virtual Status SetLabels(JobId job, const std::map<std::string, std::string>& labels) = 0;
  /// With its tasks, attempts and events; results stay. Returns the tasks that went: their logs are
  /// the caller's to remove. kFailedPrecondition for a job that has not ended.
  virtual Result<std::vector<TaskId>> DeleteJob(JobId job) = 0;
  /// Jobs that ended before that time, the first to end first; none that has the label
  /// domain::kKeepLabel.
  virtual Result<std::vector<JobId>> EndedBefore(std::int64_t before, std::int64_t limit) = 0;

  // What became of tasks, and why.
  virtual Result<TaskRecord> GetTask(TaskId task) = 0;
  /// Oldest first.
  virtual Result<std::vector<domain::AttemptRecord>> Attempts(TaskId task) = 0;
  /// Something that the scheduler decided; the last hundred of a task are kept.
  virtual Status NoteDecision(TaskId task, const std::string& text, std::int64_t now) = 0;
  /// Those, and the reasons for which attempts were given (StartAttempt). Oldest first.
  virtual Result<std::vector<domain::Decision>> Decisions(TaskId task) = 0;
  /// Of attempts that succeeded, and of those that found a GPU too small, the last ones of each; in
  /// the order of their ends.
  virtual Result<std::vector<SeenAttempt>> SeenAttempts(std::int64_t limit) = 0;

  virtual Result<TaskCounts> CountTasks(std::int64_t now) = 0;
  /// What breaks a rule of the queue among the tasks that run or whose result is there: a line
  /// each, none while all is well.
  virtual Result<std::vector<std::string>> FindViolations() = 0;
  /// Whether what is known in memory of keys is what the tables say; reads all of them, for tests.
  virtual Result<bool> KeysAreTrue() = 0;

  // Who is next.
  /// Lanes with a task that is due, by number.
  virtual Result<std::vector<sched::Lane>> Lanes(std::int64_t now) = 0;
  /// Of a lane: queued, due, not the same action as one that has a result or runs; the oldest
  /// first.
  virtual Result<std::vector<sched::Candidate>> Candidates(std::int64_t lane, std::int64_t now,
                                                           std::int64_t limit) = 0;
  virtual Result<sched::Shares> Shares(std::int64_t now) = 0;
  /// What the scheduler sees of a task.
  virtual Result<sched::LaneKey> LaneKeyOf(TaskId task) = 0;
  /// Tasks of the job that have not begun, in plan order.
  virtual Result<std::vector<PendingRecord>> Pending(JobId job) = 0;
  /// Queued tasks of a lane of jobs before this one; counts no further than `limit`.
  virtual Result<std::int64_t> CountBefore(std::int64_t lane, JobId job, std::int64_t limit) = 0;

  /// The clock was ahead before the server began: what was queued later than `now` is queued now,
  /// a pause before another attempt and the time that a job has to begin start now, and requests
  /// that were answered later were answered now.
  virtual Status CorrectTimes(std::int64_t now) = 0;

  // Projects.
  /// One that is not known is one of weight 1 without quotas.
  virtual Result<ProjectRecord> GetProject(const std::string& name) = 0;
  virtual Result<std::vector<ProjectRecord>> ListProjects() = 0;
  virtual Status SetProject(const domain::Project& project) = 0;
  /// Bytes of a tree's files; 0 when no job of the project refers to it.
  virtual Result<std::int64_t> TreeBytes(const std::string& project, const BlobId& tree) = 0;
  /// The job refers to a tree whose files have so many bytes.
  virtual Status AddTree(JobId job, const BlobId& tree, std::int64_t bytes) = 0;

  // Attempts.
  virtual Result<Lease> StartAttempt(TaskId task, const WorkerSession& worker, std::int64_t now,
                                     const sched::Reasons& why) = 0;

  /// Without a reason that anybody could ask for.
  Result<Lease> StartAttempt(TaskId task, const WorkerSession& worker, std::int64_t now) {
    return StartAttempt(task, worker, now, {});
  }

  virtual Result<Lease> GetLease(const AttemptId& id) = 0;
  /// Nothing when the attempt is not the task's current one or is over.
  virtual Result<std::optional<HeldTask>> FindHeld(const AttemptId& id) = 0;
  virtual Result<std::vector<HeldTask>> AllHeld() = 0;
  virtual Result<std::vector<HeldTask>> HeldBy(const std::string& worker) = 0;
  /// Another session of the same worker goes on with the attempt.
  virtual Status Adopt(const AttemptId& id, const std::string& session) = 0;
  /// `key`, when given, is what later tasks find the output by. A task that is being cancelled is
  /// cancelled all the same.
  virtual Status Succeed(const AttemptId& id, const BlobId& output, std::optional<Sha256> key,
                         std::int64_t now) = 0;
  /// Succeed, with AddTree of the output, by the key that the action has under the version that
  /// made it. False, and nothing done, where FindHeld gives nothing.
  virtual Result<bool> Complete(const AttemptId& id, const Completed& made, std::int64_t now) = 0;
  virtual Status EndAttempt(const AttemptId& id, sched::Ending ending,
                            const sched::Verdict& verdict, std::int64_t now) = 0;
  /// The end of an attempt of a task that is being cancelled.
  virtual Status EndCancelled(const AttemptId& id, std::int64_t now) = 0;
  /// `attempt` 0: the last one.
  virtual Result<LogOwner> FindLog(TaskId task, domain::Attempt attempt) = 0;

  // Unfinished work, by action key: what another attempt at the same action can go on from.
  /// Of the attempt's task, in place of an earlier one; it goes when the task succeeds.
  virtual Status KeepCheckpoint(const AttemptId& id, const domain::Checkpoint& checkpoint,
                                std::int64_t now) = 0;
  /// The task's next attempt begins anew.
  virtual Status ForgetCheckpoint(TaskId task) = 0;
  /// Those kept before that time, but of tasks that are queued or running; how many.
  virtual Result<std::int64_t> ForgetCheckpoints(std::int64_t before) = 0;

  // Results by action key.
  /// Not of a reader: kInternal.
  virtual Result<std::vector<CacheHit>> CacheHits(const HitFilter& which) = 0;
  virtual Status SucceedFromCache(const CacheHit& hit, std::int64_t now) = 0;
  virtual Status ForgetAction(const Sha256& key) = 0;
  /// At most `limit` results that nobody made or used since that time; how many.
  virtual Result<std::int64_t> ForgetActions(std::int64_t before, std::int64_t limit) = 0;
  /// Of up to `limit` results after the one with the number `after`, those that fit: counted, and
  /// forgotten where `forget`.
  virtual Result<ResultsLookedAt> LookAtResults(const domain::ResultSelection& which,
                                                std::int64_t after, std::int64_t limit,
                                                bool forget) = 0;
  /// Likewise all unfinished work; how many.
  virtual Result<std::int64_t> LookAtUnfinished(const domain::ResultSelection& which,
                                                bool forget) = 0;
  /// Not of a reader: kInternal.
  virtual Result<std::optional<BlobId>> FindResult(const Sha256& key) = 0;
  /// The task that runs the action.
  virtual Result<std::optional<TaskId>> FindRunning(const Sha256& key) = 0;
  /// Trees that jobs, results or unfinished work refer to; sorted, each once.
  virtual Result<std::vector<BlobId>> TreesInUse() = 0;

  // Workers.
  /// Makes `worker` its name's current session. kAborted when a later one has replaced it.
  virtual Status StartSession(const WorkerSession& worker, const domain::Capabilities& capabilities,
                              std::int64_t now) = 0;
  virtual Result<std::vector<WorkerRecord>> ListWorkers() = 0;
  /// kNotFound for a worker that never called.
  virtual Status SetWorkerMode(const std::string& worker, const domain::ModeOrder& order) = 0;
  /// It must hold nothing. kNotFound as above.
  virtual Status ForgetWorker(const std::string& worker) = 0;
};

}  // namespace tyllm::server::store
