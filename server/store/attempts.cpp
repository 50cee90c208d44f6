// SPDX-License-Identifier: Apache-2.0
#include "server/store/attempts.h"

#include "server/store/lanes.h"
#include "server/store/rows_json.h"

namespace tyllm::server::store::attempts {

namespace {

constexpr Sql kInsert{
    "INSERT INTO attempts(task, attempt, worker, session, started_ms, toolchain, lane, charge, "
    "waited_ms, inputs, inputs_there, others, goes_on) VALUES(?1, ?2, ?3, ?4, ?5, coalesce((SELECT "
    "toolchain FROM workers WHERE name = ?3), ''), ?6, ?7, ?8, ?9, ?10, ?11, ?12)"};
constexpr Sql kSetSession{"UPDATE attempts SET session = ?3 WHERE task = ?1 AND attempt = ?2"};
constexpr Sql kEnd{
    "UPDATE attempts SET ended_ms = ?3, ending = ?4, failure = ?5, log_bytes = ?6, "
    "memory_bytes = ?7, gpu_memory_bytes = ?8, disk_bytes = ?9, gpu_too_small = ?10 "
    "WHERE task = ?1 AND attempt = ?2"};
constexpr Sql kOf{
    "SELECT attempt, worker, session, started_ms, ended_ms, ending, failure, log_bytes "
    "FROM attempts WHERE task = ?1 ORDER BY attempt"};
constexpr Sql kLastToolchain{
    "SELECT toolchain FROM attempts WHERE task = ?1 ORDER BY attempt DESC LIMIT 1"};
// The last that succeeded are those of the newest tasks: ids rise with time, and a row need not be
// written into an index when it ends.
constexpr Sql kSeen{
    "SELECT t.spec, s.ms, s.memory_bytes, s.gpu_memory_bytes, s.disk_bytes, s.gpu_too_small "
    "FROM (SELECT * FROM (SELECT task, ended_ms, ended_ms - started_ms AS ms, memory_bytes, "
    "gpu_memory_bytes, disk_bytes, gpu_too_small FROM attempts "
    "WHERE ending = 0 ORDER BY task DESC, attempt DESC LIMIT ?1) UNION ALL SELECT * FROM (SELECT "
    "task, "
    "ended_ms, NULL, memory_bytes, gpu_memory_bytes, disk_bytes, gpu_too_small FROM attempts "
    "INDEXED BY attempts_gpu_too_small WHERE gpu_too_small > 0 ORDER BY ended_ms DESC LIMIT ?1)) "
    "AS s JOIN tasks AS t ON t.id = s.task ORDER BY s.ended_ms"};
constexpr Sql kGiven{
    "SELECT attempt, worker, started_ms, charge, waited_ms, inputs, inputs_there, others, goes_on, "
    "lane FROM attempts WHERE task = ?1 AND lane IS NOT NULL ORDER BY attempt"};
constexpr Sql kHasEnded{
    "SELECT ended_ms IS NOT NULL FROM attempts WHERE task = ?1 AND attempt = ?2"};

}  // namespace

Status Insert(Database& db, const AttemptId& id, const WorkerSession& holder,
              const sched::Reasons& why, std::int64_t now) {
  std::optional<std::int64_t> lane;
  if (why.lane != 0) {
    lane = why.lane;
  }
  return db
      .Change(kInsert, id.task.value, id.attempt, holder.worker, holder.session, now, lane,
              why.charge, why.waited_ms, why.inputs, why.inputs_there, why.others, why.goes_on)
      .status();
}

Status SetSession(Database& db, const AttemptId& id, const std::string& session) {
  return db.ChangeOne(id.ToString(), kSetSession, id.task.value, id.attempt, session);
}

Status End(Database& db, const AttemptId& id, sched::Ending ending, std::int64_t now,
           const Remains& remains) {
  std::optional<std::string> why;
  std::int64_t log_bytes = 0;
  if (remains.failure != nullptr) {
    why = ToColumn(*remains.failure);
    log_bytes = remains.failure->log_bytes;
  }
  const domain::Resources& used = remains.used;
  return db.ChangeOne(id.ToString(), kEnd, id.task.value, id.attempt, now, ending, why, log_bytes,
                      used.memory_bytes, used.gpu_memory_bytes, used.disk_bytes,
                      remains.gpu_too_small);
}

Result<std::vector<domain::AttemptRecord>> Of(Database& db, TaskId task) {
  TYLLM_ASSIGN(Rows rows, db.Query(kOf, task.value));
  std::vector<domain::AttemptRecord> found;
  while (true) {
    TYLLM_ASSIGN(const bool more, rows.Next());
    if (!more) {
      return found;
    }
    domain::AttemptRecord& one = found.emplace_back();
    one.attempt = static_cast<domain::Attempt>(rows.Integer(0));
    one.worker = rows.Text(1);
    one.session = rows.Text(2);
    one.started_unix_ms = rows.Integer(3);
    one.ended_unix_ms = rows.Integer(4);
    if (!rows.IsNull(5)) {
      TYLLM_ASSIGN(one.ending, EnumColumn<domain::Ending>(rows.Integer(5)));
    }
    if (!rows.IsNull(6)) {
      TYLLM_ASSIGN(one.failure, FromColumn<domain::Failure>(rows.Text(6), "attempts.failure"));
    }
    one.log_bytes = rows.Integer(7);
  }
}

Result<std::vector<domain::Decision>> Given(Database& db, TaskId task) {
  TYLLM_ASSIGN(Rows rows, db.Query(kGiven, task.value));
  std::vector<domain::Decision> given;
  while (true) {
    TYLLM_ASSIGN(const bool more, rows.Next());
    if (!more) {
      return given;
    }
    const sched::Reasons why{.lane = rows.Integer(9),
                             .charge = rows.Integer(3),
                             .waited_ms = rows.Integer(4),
                             .inputs = rows.Integer(5),
                             .inputs_there = rows.Integer(6),
                             .others = rows.Integer(7),
                             .goes_on = rows.Integer(8) != 0};
    TYLLM_ASSIGN(const sched::LaneKey lane, lanes::Get(db, why.lane));
    const auto attempt = static_cast<domain::Attempt>(rows.Integer(0));
    given.push_back(
        {.unix_ms = rows.Integer(2), .text = sched::TextOf(why, attempt, rows.Text(1), lane)});
  }
}

Result<std::string> LastToolchain(Database& db, TaskId task) {
  TYLLM_ASSIGN(Rows rows, db.Query(kLastToolchain, task.value));
  TYLLM_ASSIGN(const bool found, rows.Next());
  return found ? rows.Text(0) : std::string();
}

Result<std::vector<SeenAttempt>> Seen(Database& db, std::int64_t limit) {
  TYLLM_ASSIGN(Rows rows, db.Query(kSeen, limit));
  std::vector<SeenAttempt> seen;
  while (true) {
    TYLLM_ASSIGN(const bool more, rows.Next());
    if (!more) {
      return seen;
    }
    TYLLM_ASSIGN(const auto spec, FromColumn<domain::TaskSpec>(rows.Text(0), "tasks.spec"));
    SeenAttempt& one = seen.emplace_back(SeenAttempt{sched::SizeClassOf(spec), {}});
    if (!rows.IsNull(1)) {
      one.run.run_ms = rows.Integer(1);
    }
    one.run.used.memory_bytes = rows.Integer(2);
    one.run.used.gpu_memory_bytes = rows.Integer(3);
    one.run.used.disk_bytes = rows.Integer(4);
    one.run.gpu_too_small = rows.Integer(5);
  }
}

Result<bool> HasEnded(Database& db, const AttemptId& id) {
  TYLLM_ASSIGN(Rows rows, db.Query(kHasEnded, id.task.value, id.attempt));
  TYLLM_ASSIGN(const bool found, rows.Next());
  if (!found) {
    return NotFound("there is no " + id.ToString());
  }
  return rows.Integer(0) != 0;
}

}  // namespace tyllm::server::store::attempts
