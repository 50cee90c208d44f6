// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/domain/project.h"
#include "common/domain/views.h"
#include "common/domain/worker_sync.h"
#include "server/sched/ending.h"
#include "server/sched/fair_order.h"
#include "server/sched/placement.h"
#include "server/sched/retry.h"
#include "server/sched/shares.h"

namespace tyllm::server::store {

using domain::AttemptId;
using domain::JobId;
using domain::TaskId;
using domain::WorkerSession;

struct NewJob {
  std::string request_id;
  domain::JobSpec spec;
  domain::JobPlan plan;
};

struct JobFilter {
  std::optional<JobId> before;           ///< only smaller ids
  std::vector<domain::JobState> states;  ///< empty: all
  std::int64_t limit = 50;
};

/// A task that some worker holds.
struct HeldTask {
  AttemptId id;
  JobId job;
  domain::TaskKind kind = domain::TaskKind::kQuantize;
  domain::TaskState state = domain::TaskState::kLeased;  ///< or kCancelling
  WorkerSession holder;
  sched::Spent spent;
  std::int64_t started_unix_ms = 0;

  bool operator==(const HeldTask&) const = default;
};

/// Everything that a worker needs to run an attempt.
struct Lease {
  AttemptId id;
  JobId job;
  std::string label;
  domain::TaskSpec spec;
  std::map<std::string, BlobId> inputs;
  std::optional<domain::Checkpoint> checkpoint = std::nullopt;  ///< to go on from

  bool operator==(const Lease&) const = default;
};

/// An attempt whose log can be asked for.
struct LogOwner {
  JobId job;
  domain::Attempt attempt = 0;
  bool ended = false;
};

/// A queued task whose result exists already.
struct CacheHit {
  TaskId task;
  JobId job;
  Sha256 key;
  BlobId output;

  bool operator==(const CacheHit&) const = default;
};

/// What there is to do.
struct TaskCounts {
  std::map<domain::TaskState, std::int64_t> by_state;  ///< of jobs that have not ended
  std::optional<std::int64_t> oldest_due_ms;           ///< since when the oldest queued task is due
};

/// A project with what it has had and has.
struct ProjectRecord {
  domain::Project project;
  double used_seconds = 0;  ///< device-seconds of attempts that ended, decayed to used_at_ms
  std::int64_t used_at_ms = 0;
  double total_seconds = 0;       ///< the same without decay
  std::int64_t stored_bytes = 0;  ///< of the trees of its jobs, each tree once
  std::int64_t queued_jobs = 0;   ///< that have not ended

  bool operator==(const ProjectRecord&) const = default;
};

/// A task that has not begun, with what its waiting depends on.
struct PendingRecord {
  TaskId id;
  domain::TaskState state = domain::TaskState::kQueued;  ///< or kWaiting
  std::int64_t lane = 0;
  sched::LaneKey lane_key;
  std::vector<std::string> waits_for;  ///< labels of tasks whose outputs are missing
  std::optional<TaskId> joined;        ///< runs the same action
  std::int64_t not_before_ms = 0;

  bool operator==(const PendingRecord&) const = default;
};

/// Workers as they are remembered.
struct WorkerRecord {
  std::string name;
  std::string session;  ///< the last one
  domain::Capabilities capabilities;
  domain::ModeOrder order;
  std::int64_t last_seen_unix_ms = 0;

  bool operator==(const WorkerRecord&) const = default;
};

/// The durable queue, as the one thread sees that may touch it. Between Begin and Commit; nothing
/// is durable, and nothing may be told to anybody, before Commit has returned OK. Every change
/// writes its job_events. Time is the caller's, in milliseconds since 1970.
///
/// Errors: kNotFound names what is not there; kAborted: the task is not in the state that the call
/// supposes (a compare-and-set lost); kResourceExhausted: the disk is full; kUnavailable: the
/// storage is broken.
class Queue {
 public:
  virtual ~Queue() = default;

  // A transaction, and marks within it to which one operation can be undone.
  virtual Status Begin() = 0;
  /// True when anything was changed. After an error the transaction is to be rolled back.
  virtual Result<bool> Commit() = 0;
  virtual void Rollback() = 0;
  virtual Status SetMark() = 0;
  virtual Status KeepMark() = 0;
  virtual Status RevertToMark() = 0;
  /// Not OK once the storage is broken for good: every later call fails.
  virtual Status broken() const = 0;
  virtual std::int64_t schema_version() const = 0;
  /// A small write, to see whether writing works again.
  virtual Status Probe(std::int64_t now) = 0;

  // Jobs.
  virtual Result<std::optional<JobId>> FindRequest(const std::string& request_id) = 0;
  virtual Result<JobId> Enqueue(const NewJob& job, std::int64_t now) = 0;
  virtual Result<domain::JobView> GetJob(JobId job) = 0;
  /// Newest first, without tasks and outputs.
  virtual Result<std::vector<domain::JobView>> ListJobs(const JobFilter& filter) = 0;
  virtual Result<std::map<domain::JobState, std::int64_t>> CountJobs() = 0;
  virtual Result<std::vector<domain::JobEvent>> EventsAfter(JobId job, std::int64_t after,
                                                            std::int64_t limit) = 0;
  /// Nothing for a job that has ended. Attempts whose result other jobs wait for go on as theirs:
  /// those jobs are returned.
  virtual Result<std::vector<JobId>> CancelJob(JobId job, std::int64_t now) = 0;
  /// Something that people should know of a task; the state of nothing changes.
  virtual Status NoteEvent(TaskId task, const std::string& text, std::int64_t now) = 0;
  virtual Status SetPriority(JobId job, std::int32_t priority) = 0;

  virtual Result<TaskCounts> CountTasks(std::int64_t now) = 0;

  // Who is next.
  /// Lanes with a task that is due, by number.
  virtual Result<std::vector<sched::Lane>> Lanes(std::int64_t now) = 0;
  /// Of a lane: queued, due, not the same action as one that has a result or runs; the oldest
  /// first.
  virtual Result<std::vector<sched::Candidate>> Candidates(std::int64_t lane, std::int64_t now,
                                                           std::int64_t limit) = 0;
  virtual Result<sched::Shares> Shares(std::int64_t now) = 0;
  /// Tasks of the job that have not begun, in plan order.
  virtual Result<std::vector<PendingRecord>> Pending(JobId job) = 0;
  /// Queued tasks of a lane of jobs before this one; counts no further than `limit`.
  virtual Result<std::int64_t> CountBefore(std::int64_t lane, JobId job, std::int64_t limit) = 0;

  // Projects.
  /// One that is not known is one of weight 1 without quotas.
  virtual Result<ProjectRecord> GetProject(const std::string& name) = 0;
  virtual Result<std::vector<ProjectRecord>> ListProjects() = 0;
  virtual Status SetProject(const domain::Project& project) = 0;
  /// The job refers to a tree whose files have so many bytes.
  virtual Status AddTree(JobId job, const BlobId& tree, std::int64_t bytes) = 0;

  // Attempts.
  virtual Result<Lease> StartAttempt(TaskId task, const WorkerSession& worker,
                                     std::int64_t now) = 0;
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
  virtual Status EndAttempt(const AttemptId& id, sched::Ending ending,
                            const sched::Verdict& verdict, std::int64_t now) = 0;
  /// Workers that were lost with an attempt of it, by name, each once.
  virtual Result<std::vector<std::string>> LostBy(TaskId task) = 0;
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
  virtual Result<std::vector<CacheHit>> CacheHits(std::int64_t limit) = 0;
  virtual Status SucceedFromCache(const CacheHit& hit, std::int64_t now) = 0;
  virtual Status ForgetAction(const Sha256& key) = 0;

  // Workers.
  /// Makes `worker` its name's current session. kAborted when a later one has replaced it.
  virtual Status StartSession(const WorkerSession& worker, const domain::Capabilities& capabilities,
                              std::int64_t now) = 0;
  virtual Result<std::vector<WorkerRecord>> ListWorkers() = 0;
  /// kNotFound for a worker that never called.
  virtual Status SetWorkerMode(const std::string& worker, const domain::ModeOrder& order) = 0;
};

}  // namespace tyllm::server::store
