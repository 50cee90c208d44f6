// SPDX-License-Identifier: Apache-2.0
#include "server/store/tasks.h"

#include "server/store/actions.h"
#include "server/store/rows_json.h"
#include "server/store/spec_text.h"
#include "server/store/waiting.h"

namespace tyllm::server::store::tasks {

namespace {

using domain::TaskState;

#define TYLLM_TASK_COLUMNS                                                              \
  "SELECT id, job, label, kind, state, attempt, spec, inputs, use_cache, action_key, "  \
  "worker, session, failures, losses, output, failure, cached, queued_ms, started_ms, " \
  "ended_ms, lane, input_trees, rate, device_seconds, not_before_ms, position, "        \
  "kept, made_by FROM tasks "
constexpr Sql kGet{TYLLM_TASK_COLUMNS "WHERE id = ?1"};
constexpr Sql kOfJob{TYLLM_TASK_COLUMNS "WHERE job = ?1 ORDER BY position"};
constexpr Sql kBesideTask{TYLLM_TASK_COLUMNS
                          "WHERE job = (SELECT job FROM tasks WHERE id = ?1) ORDER BY position"};
// The index must be named: in the order of ids SQLite would rather walk through the whole table.
constexpr Sql kHeld{TYLLM_TASK_COLUMNS "INDEXED BY tasks_held WHERE state IN (2, 3) ORDER BY id"};
constexpr Sql kHeldBy{TYLLM_TASK_COLUMNS "WHERE state IN (2, 3) AND worker = ?1 ORDER BY id"};
#undef TYLLM_TASK_COLUMNS

// A task whose result exists is not run (CacheHits finds it); one that waits for another of its
// action (waiting.h) is not in the index.
constexpr Sql kCandidates{
    "SELECT id, action_key, use_cache, attempt, input_trees, max(queued_ms, not_before_ms) "
    "FROM tasks INDEXED BY tasks_queued WHERE state = 1 AND waits = 0 AND lane = ?1 AND "
    "not_before_ms <= ?2 AND has_result = 0 ORDER BY job, position LIMIT ?3"};
constexpr Sql kCount{
    "SELECT t.state, count(*) FROM jobs AS j JOIN tasks AS t ON t.job = j.id "
    "WHERE j.state IN (0, 1, 2) GROUP BY t.state"};
constexpr Sql kOldestDue{
    "SELECT l.job_class, min(max(t.queued_ms, t.not_before_ms)) FROM lanes AS l JOIN tasks AS t "
    "ON t.lane = l.id WHERE t.state = 1 AND t.waits = 0 AND t.not_before_ms <= ?1 GROUP BY "
    "l.job_class"};
constexpr Sql kLostBy{
    "SELECT DISTINCT worker FROM attempts WHERE task = ?1 AND ending = 2 ORDER BY worker"};
constexpr Sql kFailedOn{
    "SELECT DISTINCT worker FROM attempts WHERE task = ?1 AND ending IN (1, 3, 4) ORDER BY worker"};
constexpr Sql kRunning{
    "SELECT id FROM tasks WHERE state IN (2, 3) AND action_key = ?1 ORDER BY id LIMIT 1"};
constexpr Sql kSetPlace{
    "UPDATE tasks SET job = ?2, position = ?3, label = ?4, spec = ?5, inputs = ?6, "
    "has_result = 0, waits = 0, use_cache = ?7, lane = ?8 WHERE id = ?1 AND state IN (1, 2)"};

Result<Row> Read(const Rows& rows) {
  Row row;
  row.id = TaskId{rows.Integer(0)};
  row.job = JobId{rows.Integer(1)};
  row.label = rows.Text(2);
  TYLLM_ASSIGN(row.kind, EnumColumn<domain::TaskKind>(rows.Integer(3)));
  TYLLM_ASSIGN(row.state, EnumColumn<TaskState>(rows.Integer(4)));
  row.attempt = static_cast<domain::Attempt>(rows.Integer(5));
  row.spec = rows.Text(6);
  row.inputs = rows.Text(7);
  row.use_cache = rows.Integer(8) != 0;
  row.key = rows.Digest(9);
  row.holder = {rows.Text(10), rows.Text(11)};
  row.spent = {static_cast<int>(rows.Integer(12)), static_cast<int>(rows.Integer(13))};
  if (!rows.IsNull(14)) {
    TYLLM_ASSIGN(row.output, BlobId::Parse(rows.Text(14)));
  }
  if (!rows.IsNull(15)) {
    row.failure = rows.Text(15);
  }
  row.cached = rows.Integer(16) != 0;
  row.queued_ms = rows.Integer(17);
  row.started_ms = rows.Integer(18);
  row.ended_ms = rows.Integer(19);
  row.lane = rows.Integer(20);
  row.input_trees = rows.Text(21);
  row.rate = rows.Real(22);
  row.device_seconds = rows.Real(23);
  row.not_before_ms = rows.Integer(24);
  row.position = rows.Integer(25);
  row.kept = rows.Integer(26) != 0;
  if (!rows.IsNull(27)) {
    row.made_by = TaskId{rows.Integer(27)};
  }
  return row;
}

Result<std::vector<Row>> ReadAll(Result<Rows> rows) {
  TYLLM_TRY(rows.status());
  std::vector<Row> all;
  while (true) {
    TYLLM_ASSIGN(const bool more, rows->Next());
    if (!more) {
      return all;
    }
    TYLLM_ASSIGN(Row row, Read(*rows));
    all.push_back(std::move(row));
  }
}

Result<std::vector<std::string>> Names(Database& db, const Sql& sql, TaskId task) {
  TYLLM_ASSIGN(Rows rows, db.Query(sql, task.value));
  std::vector<std::string> names;
  while (true) {
    TYLLM_ASSIGN(const bool more, rows.Next());
    if (!more) {
      return names;
    }
    names.push_back(rows.Text(0));
  }
}

Result<sched::Candidate> ToCandidate(Database& db, const Rows& rows) {
  sched::Candidate candidate;
  candidate.id = TaskId{rows.Integer(0)};
  if (rows.Integer(2) != 0) {
    candidate.shared_key = rows.Digest(1);
  }
  if (rows.Integer(3) > 0) {
    TYLLM_ASSIGN(candidate.lost_by, Names(db, kLostBy, candidate.id));
    TYLLM_ASSIGN(candidate.failed_on, Names(db, kFailedOn, candidate.id));
  }
  TYLLM_ASSIGN(candidate.inputs,
               FromColumn<std::vector<BlobId>>(rows.Text(4), "tasks.input_trees"));
  candidate.due_ms = rows.Integer(5);
  return candidate;
}

Result<std::optional<TaskId>> OneId(Result<Rows> rows) {
  TYLLM_TRY(rows.status());
  TYLLM_ASSIGN(const bool found, rows->Next());
  return found ? std::optional(TaskId{rows->Integer(0)}) : std::nullopt;
}

}  // namespace

Result<Row> Get(Database& db, TaskId id) {
  TYLLM_ASSIGN(Rows rows, db.Query(kGet, id.value));
  TYLLM_ASSIGN(const bool found, rows.Next());
  if (!found) {
    return NotFound("there is no task " + id.ToString());
  }
  return Read(rows);
}

Result<std::vector<domain::TaskInput>> InputsOf(const Row& row) {
  return FromColumn<std::vector<domain::TaskInput>>(row.inputs, "tasks.inputs");
}

Result<std::vector<Row>> OfJob(Database& db, JobId job) {
  return ReadAll(db.Query(kOfJob, job.value));
}

Result<std::vector<Row>> BesideTask(Database& db, TaskId id) {
  TYLLM_ASSIGN(std::vector<Row> rows, ReadAll(db.Query(kBesideTask, id.value)));
  return rows.empty() ? Result<std::vector<Row>>(NotFound("there is no task " + id.ToString()))
                      : std::move(rows);
}

Result<std::vector<Row>> Held(Database& db) {
  return ReadAll(db.Query(kHeld));
}

Result<std::vector<Row>> HeldBy(Database& db, const std::string& worker) {
  return ReadAll(db.Query(kHeldBy, worker));
}

Result<std::vector<sched::Candidate>> Candidates(Database& db, std::int64_t lane, std::int64_t now,
                                                 std::int64_t limit) {
  TYLLM_ASSIGN(Rows rows, db.Query(kCandidates, lane, now, limit));
  std::vector<sched::Candidate> candidates;
  while (true) {
    TYLLM_ASSIGN(const bool more, rows.Next());
    if (!more) {
      return candidates;
    }
    TYLLM_ASSIGN(sched::Candidate candidate, ToCandidate(db, rows));
    candidates.push_back(std::move(candidate));
  }
}

Result<std::optional<Row>> FindWaitingFor(const Ground& ground, const Row& running) {
  if (!running.key) {
    return std::optional<Row>();
  }
  TYLLM_ASSIGN(const std::optional<actions::Entry> result, actions::Find(ground, *running.key));
  TYLLM_ASSIGN(const std::optional<TaskId> first,
               waiting::FindFirst(ground, *running.key, running.job));
  if (!first || result) {
    return std::optional<Row>();
  }
  TYLLM_ASSIGN(Row row, Get(ground.db, *first));
  return std::optional(std::move(row));
}

Result<std::optional<TaskId>> FindRunning(Database& db, const Sha256& key) {
  return OneId(db.Query(kRunning, key));
}

Result<std::optional<TaskId>> FindRunning(Database& db, const Row& queued) {
  return queued.use_cache && queued.key ? FindRunning(db, *queued.key) : std::optional<TaskId>();
}

Status Exchange(const Ground& ground, const Row& running, const Row& queued) {
  const auto put = [&](const Row& row, const Row& place, std::int64_t position,
                       const std::string& label) {
    return ground.db.ChangeOne(row.id.ToString(), kSetPlace, row.id.value, place.job.value,
                               position, label, place.spec, place.inputs, place.use_cache,
                               place.lane);
  };
  // A place of nobody's in between: positions and labels are unique in a job.
  TYLLM_TRY(put(running, queued, -1, ""));
  TYLLM_TRY(put(queued, running, running.position, running.label));
  TYLLM_TRY(put(running, queued, queued.position, queued.label));
  if (!queued.key) {
    return OkStatus();
  }
  ground.keys.others.Remove(*queued.key, queued.id.value);
  (running.use_cache ? ground.keys.firsts : ground.keys.others).Add(*queued.key, queued.id.value);
  return waiting::Renew(ground, *queued.key);
}

Result<TaskCounts> Count(Database& db, std::int64_t now) {
  TaskCounts counts;
  TYLLM_ASSIGN(Rows rows, db.Query(kCount));
  while (true) {
    TYLLM_ASSIGN(const bool more, rows.Next());
    if (!more) {
      break;
    }
    TYLLM_ASSIGN(const TaskState state, EnumColumn<TaskState>(rows.Integer(0)));
    counts.by_state[state] = rows.Integer(1);
  }
  TYLLM_ASSIGN(Rows oldest, db.Query(kOldestDue, now));
  while (true) {
    TYLLM_ASSIGN(const bool more, oldest.Next());
    if (!more) {
      return counts;
    }
    TYLLM_ASSIGN(const auto job_class, EnumColumn<domain::JobClass>(oldest.Integer(0)));
    counts.oldest_due_ms[job_class] = oldest.Integer(1);
  }
}

std::string TreesColumn(const std::map<std::string, BlobId>& inputs) {
  std::vector<BlobId> trees;
  for (const auto& [name, tree] : inputs) {
    trees.push_back(tree);
  }
  return ToColumn(trees);
}

Result<domain::TaskView> ToView(const Row& row) {
  domain::TaskView view;
  view.id = row.id;
  view.label = row.label;
  view.kind = row.kind;
  view.state = row.state;
  view.attempt = row.attempt;
  view.worker = row.holder.worker;
  view.output = row.output;
  if (row.failure) {
    TYLLM_ASSIGN(view.failure, FromColumn<domain::Failure>(*row.failure, "tasks.failure"));
  }
  view.cached = row.cached;
  view.device_seconds = row.device_seconds;
  view.queued_unix_ms = row.queued_ms;
  view.started_unix_ms = row.started_ms;
  view.ended_unix_ms = row.ended_ms;
  return view;
}

}  // namespace tyllm::server::store::tasks
