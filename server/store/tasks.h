// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "server/store/ground.h"
#include "server/store/queue.h"

// Table tasks. Every change of a state is a compare-and-set on the state and attempt that the
// caller has read: kAborted when the row is another by now.
namespace tyllm::server::store::tasks {

struct Row {
  TaskId id;
  JobId job;
  std::int64_t position = 0;
  std::string label;
  domain::TaskKind kind = domain::TaskKind::kQuantize;
  domain::TaskState state = domain::TaskState::kWaiting;
  domain::Attempt attempt = 0;
  std::string spec;    ///< JSON
  std::string inputs;  ///< JSON; InputsOf reads it
  bool use_cache = true;
  std::optional<Sha256> key;
  WorkerSession holder;  ///< of the running or last attempt
  sched::Spent spent;
  std::int64_t lane = 0;
  std::string input_trees;  ///< JSON, as soon as they are known
  double rate = 0;          ///< device-seconds a second of the running or last attempt
  double device_seconds = 0;
  std::optional<BlobId> output;
  std::optional<std::string> failure;  ///< JSON
  bool cached = false;
  bool kept = false;              ///< the output is that of the job that this one continues
  std::optional<TaskId> made_by;  ///< whose attempt made the output, when another's did
  std::int64_t not_before_ms = 0;
  std::int64_t queued_ms = 0;
  std::int64_t started_ms = 0;
  std::int64_t ended_ms = 0;

  AttemptId attempt_id() const { return {id, attempt}; }
};

/// Of a new job, in any state that a task may have before its first attempt; gives it its id.
Status Insert(const Ground& ground, Row& row);
/// kNotFound when there is no such task.
Result<Row> Get(Database& db, TaskId id);
/// What most do not need of a row, and takes longer to read than all the rest.
Result<std::vector<domain::TaskInput>> InputsOf(const Row& row);
/// In plan order.
Result<std::vector<Row>> OfJob(Database& db, JobId job);
/// Those of the task's job. kNotFound when there is no such task.
Result<std::vector<Row>> BesideTask(Database& db, TaskId id);
Result<std::vector<Row>> Held(Database& db);
Result<std::vector<Row>> HeldBy(Database& db, const std::string& worker);
/// In order of jobs, then of plans.
Result<std::vector<sched::Candidate>> Candidates(Database& db, std::int64_t lane, std::int64_t now,
                                                 std::int64_t limit);
/// The first queued task of another job that waits for the result of `running`.
Result<std::optional<Row>> FindWaitingFor(const Ground& ground, const Row& running);
Result<std::optional<TaskId>> FindRunning(Database& db, const Sha256& key);
/// The task that runs the action of `queued`, if it waits for one.
Result<std::optional<TaskId>> FindRunning(Database& db, const Row& queued);
/// The two, of one action, change places in their jobs: what they were asked to do and why goes
/// with the place, what has become of it with the row. `queued` waits for `running`.
Status Exchange(const Ground& ground, const Row& running, const Row& queued);
Result<TaskCounts> Count(Database& db, std::int64_t now);
Result<std::vector<CacheHit>> CacheHits(const Ground& ground, const HitFilter& which);

/// input_trees of a task with these inputs.
std::string TreesColumn(const std::map<std::string, BlobId>& inputs);
/// The row becomes what it is then.
Status SetReady(const Ground& ground, Row& row, const Sha256& key,
                const std::map<std::string, BlobId>& inputs, std::int64_t now);
/// Notes what the running attempt has cost; to be called before the task may have ended.
Status AddDeviceSeconds(Database& db, const Row& row, double seconds);
/// The action has a result now, or has none any more.
Status NoteResult(const Ground& ground, const Sha256& key, bool exists);
Status SetLeased(const Ground& ground, const Row& row, const WorkerSession& holder,
                 std::int64_t now);
Status SetSession(Database& db, const Row& row, const std::string& session);
/// The attempt has cost `device_seconds`.
Status SetSucceeded(const Ground& ground, const Row& row, const BlobId& output,
                    double device_seconds, std::int64_t now);
/// With a result that was there: from the cache, made by another task's attempt.
Status SetCached(const Ground& ground, const Row& row, const BlobId& output,
                 const std::optional<TaskId>& made_by, std::int64_t now);
/// Queued again or failed, as the verdict says.
Status SetJudged(const Ground& ground, const Row& row, const sched::Verdict& verdict,
                 std::int64_t now);
/// Of a task that waits or is queued: what it is asked to do, and its lane and key by that. The row
/// becomes what it is then.
Status SetSpec(const Ground& ground, Row& row, std::string spec, std::int64_t lane,
               const std::optional<Sha256>& key);
/// Of a task that is queued: it has failed.
Status SetFailed(const Ground& ground, const Row& row, const domain::Failure& failure,
                 std::int64_t now);
/// Cancelled, or being cancelled when somebody holds it.
Status SetCancelled(const Ground& ground, const Row& row, domain::TaskState next, std::int64_t now);

Result<domain::TaskView> ToView(const Row& row);

}  // namespace tyllm::server::store::tasks
