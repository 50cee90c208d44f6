// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "server/store/queue.h"

namespace tyllm::server::store {

/// The queue as maps in memory, written as plainly as can be: what SqliteQueue is compared with. A
/// mark is a copy of everything.
class MemoryQueue : public Queue {
 public:
  explicit MemoryQueue(std::string toolchain_version)
      : toolchain_version_(std::move(toolchain_version)) {}

  Status Begin() override;
  Result<bool> Commit() override;
  void Rollback() override;

  std::vector<EndedJob> TakeEnded() override { return std::exchange(state_.ended, {}); }

  Status SetMark() override;
  Status KeepMark() override;
  Status RevertToMark() override;

  /// Every state may be another.
  std::int64_t changes() const override { return ++asked_; }

  Status broken() const override { return OkStatus(); }

  std::int64_t schema_version() const override { return 1; }

  Status Probe(std::int64_t /*now*/) override { return OkStatus(); }

  Status BeginCopy(const Path& /*to*/) override { return Unimplemented("nothing on a disk"); }

  Result<bool> CopySome(int /*pages*/) override { return Unimplemented("nothing on a disk"); }

  Result<std::optional<AnsweredRequest>> FindRequest(const std::string& request_id) override;
  Status NoteRequest(const std::string& request_id, const AnsweredRequest& answered,
                     std::int64_t now) override;
  Result<std::int64_t> ForgetRequests(std::int64_t before, std::int64_t limit) override;
  Result<domain::JobView> EnqueueAndShow(const NewJob& job, std::int64_t now) override;
  Result<JobId> Enqueue(const NewJob& job, std::int64_t now) override;
  Result<domain::JobView> GetJob(JobId job) override;
  Result<std::vector<domain::JobView>> ListJobs(const JobFilter& filter) override;
  Result<std::map<domain::JobState, std::int64_t>> CountJobs() override;
  Result<std::vector<domain::JobEvent>> EventsAfter(JobId job, std::int64_t after,
                                                    std::int64_t limit) override;
  using Queue::CancelJob;
  Result<std::vector<JobId>> CancelJob(JobId job, const std::string& by, std::int64_t now) override;
  Status NoteEvent(TaskId task, const std::string& text, std::int64_t now) override;
  Status NoteChange(JobId job, const std::string& text, const std::string& by,
                    std::int64_t now) override;
  Result<std::vector<JobId>> Unstarted(std::int64_t now, std::int64_t created_from,
                                       std::int64_t limit) override;
  Result<bool> GiveUp(JobId job, const domain::Failure& failure, std::int64_t now) override;
  Result<bool> SetCompiler(JobId job, const std::string& compiler, std::int64_t now) override;
  Status FailQueued(TaskId task, const domain::Failure& failure, std::int64_t now) override;
  Status SetPriority(JobId job, std::int32_t priority) override;
  Status SetLabels(JobId job, const std::map<std::string, std::string>& labels) override;
  Result<std::vector<TaskId>> DeleteJob(JobId job) override;
  Result<std::vector<JobId>> EndedBefore(std::int64_t before, std::int64_t limit) override;
  Result<TaskRecord> GetTask(TaskId task) override;
  Result<std::vector<domain::AttemptRecord>> Attempts(TaskId task) override;
  Status NoteDecision(TaskId task, const std::string& text, std::int64_t now) override;
  Result<std::vector<domain::Decision>> Decisions(TaskId task) override;
  Result<std::vector<SeenAttempt>> SeenAttempts(std::int64_t limit) override;
  Result<TaskCounts> CountTasks(std::int64_t now) override;

  Result<std::vector<std::string>> FindViolations() override { return std::vector<std::string>(); }

  Result<bool> KeysAreTrue() override { return true; }

  Result<std::vector<sched::Lane>> Lanes(std::int64_t now) override;
  Result<std::vector<sched::Candidate>> Candidates(std::int64_t lane, std::int64_t now,
                                                   std::int64_t limit) override;
  Result<sched::Shares> Shares(std::int64_t now) override;
  Result<std::vector<PendingRecord>> Pending(JobId job) override;
  Result<sched::LaneKey> LaneKeyOf(TaskId task) override;
  Status CorrectTimes(std::int64_t now) override;
  Result<std::int64_t> CountBefore(std::int64_t lane, JobId job, std::int64_t limit) override;
  Result<ProjectRecord> GetProject(const std::string& name) override;
  Result<std::vector<ProjectRecord>> ListProjects() override;
  Status SetProject(const domain::Project& project) override;
  Result<std::int64_t> TreeBytes(const std::string& project, const BlobId& tree) override;
  Status AddTree(JobId job, const BlobId& tree, std::int64_t bytes) override;

  using Queue::StartAttempt;
  Result<Lease> StartAttempt(TaskId task, const WorkerSession& worker, std::int64_t now,
                             const sched::Reasons& why) override;
  Result<Lease> GetLease(const AttemptId& id) override;
  Result<std::optional<HeldTask>> FindHeld(const AttemptId& id) override;
  Result<std::vector<HeldTask>> AllHeld() override;
  Result<std::vector<HeldTask>> HeldBy(const std::string& worker) override;
  Status Adopt(const AttemptId& id, const std::string& session) override;
  Result<bool> Complete(const AttemptId& id, const Completed& made, std::int64_t now) override;
  Status Succeed(const AttemptId& id, const BlobId& output, std::optional<Sha256> key,
                 std::int64_t now) override;
  Status EndAttempt(const AttemptId& id, sched::Ending ending, const sched::Verdict& verdict,
                    std::int64_t now) override;
  Status EndCancelled(const AttemptId& id, std::int64_t now) override;
  Result<LogOwner> FindLog(TaskId task, domain::Attempt attempt) override;

  Result<std::vector<CacheHit>> CacheHits(const HitFilter& which) override;
  Status SucceedFromCache(const CacheHit& hit, std::int64_t now) override;
  Status ForgetAction(const Sha256& key) override;
  Result<ResultsLookedAt> LookAtResults(const domain::ResultSelection& which, std::int64_t after,
                                        std::int64_t limit, bool forget) override;
  Result<std::int64_t> LookAtUnfinished(const domain::ResultSelection& which, bool forget) override;
  Result<std::int64_t> ForgetActions(std::int64_t before, std::int64_t limit) override;
  Result<std::optional<BlobId>> FindResult(const Sha256& key) override;
  Result<std::optional<TaskId>> FindRunning(const Sha256& key) override;
  Result<std::vector<BlobId>> TreesInUse() override;

  Status KeepCheckpoint(const AttemptId& id, const domain::Checkpoint& checkpoint,
                        std::int64_t now) override;
  Status ForgetCheckpoint(TaskId task) override;
  Result<std::int64_t> ForgetCheckpoints(std::int64_t before) override;

  Status StartSession(const WorkerSession& worker, const domain::Capabilities& capabilities,
                      std::int64_t now) override;
  Result<std::vector<WorkerRecord>> ListWorkers() override;
  Status SetWorkerMode(const std::string& worker, const domain::ModeOrder& order) override;
  Status ForgetWorker(const std::string& worker) override;

 private:
  struct Attempt {
    std::string worker;
    std::optional<sched::Ending> ending;
    std::string session = {};
    std::int64_t started_ms = 0;
    std::int64_t ended_ms = 0;
    std::optional<domain::Failure> failure = {};
    std::string toolchain = {};
    domain::Resources used = {};
    std::int64_t gpu_too_small = 0;
  };

  struct Action {
    BlobId output;
    TaskId task;
    std::int64_t at_ms = 0;
  };

  struct Request {
    AnsweredRequest answered;
    std::int64_t at_ms = 0;
  };

  struct Task {
    domain::TaskView view;
    JobId job;
    domain::PlannedTask planned;
    bool use_cache = true;
    std::optional<Sha256> key;
    WorkerSession holder;
    sched::Spent spent;
    std::int64_t not_before = 0;
    std::vector<Attempt> attempts;
    std::int64_t lane = 0;
    double rate = 0;
    bool kept = false;
    std::optional<TaskId> made_by;
    std::vector<domain::Decision> decisions;
  };

  struct Job {
    domain::JobView view;
    std::map<std::string, std::string> outputs;
    bool cancel_asked = false;
    std::vector<TaskId> tasks;
    std::vector<domain::JobEvent> events;
  };

  struct KeptCheckpoint {
    domain::Checkpoint checkpoint;
    TaskId task;
    std::int64_t at_ms = 0;
  };

  struct State {
    std::map<JobId, Job> jobs;
    std::map<TaskId, Task> tasks;
    std::int64_t last_job = 0;
    std::int64_t last_task = 0;
    std::map<std::string, Request> requests;
    std::map<Sha256, Action> actions;
    std::map<Sha256, KeptCheckpoint> checkpoints;
    std::vector<sched::LaneKey> lanes;  ///< number i + 1
    std::map<std::string, ProjectRecord> projects;
    std::map<JobId, std::map<BlobId, std::int64_t>> trees;
    std::map<std::string, double> rates;  ///< of workers
    std::map<std::string, WorkerRecord> workers;
    std::set<std::pair<std::string, std::string>> sessions;
    std::vector<EndedJob> ended;  ///< by the transaction
  };

  Result<Task*> Current(const AttemptId& id);
  Task& WithLabel(const Job& job, const std::string& label);
  std::map<std::string, BlobId> InputsOf(const Task& task);
  /// Whether the job and the task that are asked for have what it made.
  bool IsMaker(const domain::ResultSelection& which, TaskId maker) const;
  bool HasResult(const Task& task) const;
  /// Of a queued task: for another of its action, and is not looked at.
  bool Waits(const Task& task) const;
  Status CheckNotReplaced(const WorkerSession& worker) const;
  std::optional<domain::Checkpoint> CheckpointOf(const Task& task) const;
  void Tell(Job& job, const Task* task, std::int64_t now, const std::string& by = {});
  static bool HasBegun(const Task& task);
  void Follow(Job& job, std::size_t first_new_event, std::int64_t now);
  static HeldTask ToHeld(const Task& task);
  std::int64_t LaneOf(const sched::LaneKey& key);
  void Charge(Task& task, std::int64_t now);
  static void EndLast(Task& task, sched::Ending ending, std::int64_t now,
                      const std::optional<domain::Failure>& failure = {});
  /// In order of jobs, then of plans.
  std::vector<const Task*> QueuedIn(std::int64_t lane) const;
  std::vector<JobId> HandOver(Job& job, std::int64_t now);
  void Exchange(Task& one, Task& other);
  std::int64_t StoredBy(const std::string& project) const;
  std::int64_t QueuedJobsOf(const std::string& project) const;

  std::string toolchain_version_;
  State state_;
  std::vector<State> marks_;
  mutable std::int64_t asked_ = 0;
};

}  // namespace tyllm::server::store
