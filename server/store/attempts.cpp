// SPDX-License-Identifier: Apache-2.0
#include "server/store/attempts.h"

namespace tyllm::server::store::attempts {

namespace {

constexpr Sql kInsert{
    "INSERT INTO attempts(task, attempt, worker, session, started_ms) VALUES(?1, ?2, ?3, ?4, ?5)"};
constexpr Sql kSetSession{"UPDATE attempts SET session = ?3 WHERE task = ?1 AND attempt = ?2"};
constexpr Sql kEnd{
    "UPDATE attempts SET ended_ms = ?3, ending = ?4 WHERE task = ?1 AND attempt = ?2"};
constexpr Sql kHasEnded{
    "SELECT ended_ms IS NOT NULL FROM attempts WHERE task = ?1 AND attempt = ?2"};

}  // namespace

Status Insert(Database& db, const AttemptId& id, const WorkerSession& holder, std::int64_t now) {
  return db.Change(kInsert, id.task.value, id.attempt, holder.worker, holder.session, now).status();
}

Status SetSession(Database& db, const AttemptId& id, const std::string& session) {
  return db.ChangeOne(id.ToString(), kSetSession, id.task.value, id.attempt, session);
}

Status End(Database& db, const AttemptId& id, sched::Ending ending, std::int64_t now) {
  return db.ChangeOne(id.ToString(), kEnd, id.task.value, id.attempt, now, ending);
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
