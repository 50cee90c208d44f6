// SPDX-License-Identifier: Apache-2.0
#include "server/store/attempts.h"

#include <algorithm>

#include "server/store/rows_json.h"

namespace tyllm::server::store::attempts {

namespace {

constexpr Sql kInsert{
    "INSERT INTO attempts(task, attempt, worker, session, started_ms, toolchain) "
    "VALUES(?1, ?2, ?3, ?4, ?5, coalesce((SELECT json_extract(capabilities, "
    "'$.toolchain_version') FROM workers WHERE name = ?3), ''))"};
constexpr Sql kSetSession{"UPDATE attempts SET session = ?3 WHERE task = ?1 AND attempt = ?2"};
constexpr Sql kEnd{
    "UPDATE attempts SET ended_ms = ?3, ending = ?4, failure = ?5, log_bytes = ?6 "
    "WHERE task = ?1 AND attempt = ?2"};
constexpr Sql kOf{
    "SELECT attempt, worker, session, started_ms, ended_ms, ending, failure, log_bytes "
    "FROM attempts WHERE task = ?1 ORDER BY attempt"};
constexpr Sql kLastToolchain{
    "SELECT toolchain FROM attempts WHERE task = ?1 ORDER BY attempt DESC LIMIT 1"};
constexpr Sql kRuns{
    "SELECT t.kind, a.ended_ms - a.started_ms FROM attempts AS a INDEXED BY attempts_succeeded "
    "JOIN tasks AS t ON t.id = a.task WHERE a.ending = 0 ORDER BY a.ended_ms DESC LIMIT 200"};
constexpr Sql kHasEnded{
    "SELECT ended_ms IS NOT NULL FROM attempts WHERE task = ?1 AND attempt = ?2"};

}  // namespace

Status Insert(Database& db, const AttemptId& id, const WorkerSession& holder, std::int64_t now) {
  return db.Change(kInsert, id.task.value, id.attempt, holder.worker, holder.session, now).status();
}

Status SetSession(Database& db, const AttemptId& id, const std::string& session) {
  return db.ChangeOne(id.ToString(), kSetSession, id.task.value, id.attempt, session);
}

Status End(Database& db, const AttemptId& id, sched::Ending ending, std::int64_t now,
           const domain::Failure* failure) {
  std::optional<std::string> why;
  if (failure != nullptr) {
    why = ToColumn(*failure);
  }
  const std::int64_t log_bytes = failure == nullptr ? 0 : failure->log_bytes;
  return db.ChangeOne(id.ToString(), kEnd, id.task.value, id.attempt, now, ending, why, log_bytes);
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

Result<std::string> LastToolchain(Database& db, TaskId task) {
  TYLLM_ASSIGN(Rows rows, db.Query(kLastToolchain, task.value));
  TYLLM_ASSIGN(const bool found, rows.Next());
  return found ? rows.Text(0) : std::string();
}

Result<std::map<domain::TaskKind, std::int64_t>> UsualRuns(Database& db) {
  std::map<domain::TaskKind, std::vector<std::int64_t>> times;
  TYLLM_ASSIGN(Rows rows, db.Query(kRuns));
  while (true) {
    TYLLM_ASSIGN(const bool more, rows.Next());
    if (!more) {
      break;
    }
    TYLLM_ASSIGN(const auto kind, EnumColumn<domain::TaskKind>(rows.Integer(0)));
    times[kind].push_back(rows.Integer(1));
  }
  std::map<domain::TaskKind, std::int64_t> medians;
  for (auto& [kind, of_kind] : times) {
    const auto middle = of_kind.begin() + static_cast<std::ptrdiff_t>(of_kind.size() / 2);
    std::nth_element(of_kind.begin(), middle, of_kind.end());
    medians[kind] = *middle;
  }
  return medians;
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
