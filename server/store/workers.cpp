// SPDX-License-Identifier: Apache-2.0
#include "server/store/workers.h"

#include "server/store/callers.h"
#include "server/store/rows_json.h"

namespace tyllm::server::store::workers {

namespace {

// Whether the session was seen before, and whether it is the worker's current one.
constexpr Sql kFindSession{
    "SELECT w.session = s.session FROM sessions AS s JOIN workers AS w ON w.name = s.worker "
    "WHERE s.worker = ?1 AND s.session = ?2"};
constexpr Sql kPut{
    "INSERT INTO workers(name, session, capabilities, last_seen_ms, rate, toolchain) "
    "VALUES(?1, ?2, ?3, ?4, ?5, ?6) "
    "ON CONFLICT(name) DO UPDATE SET session = excluded.session, rate = excluded.rate, "
    "toolchain = excluded.toolchain, "
    "capabilities = excluded.capabilities, last_seen_ms = excluded.last_seen_ms, "
    // Orders to end were for the process that was there: the next of the name is cordoned.
    "mode = CASE WHEN mode >= 2 AND session <> excluded.session THEN 1 ELSE mode END"};
constexpr Sql kInsertSession{
    "INSERT OR IGNORE INTO sessions(worker, session, started_ms) VALUES(?1, ?2, ?3)"};
constexpr Sql kList{
    "SELECT name, session, capabilities, mode, mode_reason, last_seen_ms, "
    "(SELECT callers.name FROM callers WHERE callers.id = mode_by) FROM workers ORDER BY name"};
constexpr Sql kForgetSessions{"DELETE FROM sessions WHERE worker = ?1"};
constexpr Sql kForget{"DELETE FROM workers WHERE name = ?1"};
constexpr Sql kSetMode{
    "UPDATE workers SET mode = ?2, mode_reason = ?3, mode_by = ?4 WHERE name = ?1"};

Status NeverCalled(const std::string& worker) {
  return NotFound("no worker '" + worker +
                  "' has ever called; `tyllm-client workers` lists those that did");
}

}  // namespace

Status CheckNotReplaced(Database& db, const WorkerSession& worker) {
  TYLLM_ASSIGN(Rows rows, db.Query(kFindSession, worker.worker, worker.session));
  TYLLM_ASSIGN(const bool known, rows.Next());
  if (known && rows.Integer(0) == 0) {
    return Aborted("session " + worker.session + " of worker '" + worker.worker +
                   "' was replaced by a newer process of that name; end this one, or give it "
                   "another name");
  }
  return OkStatus();
}

Status StartSession(Database& db, const WorkerSession& worker,
                    const domain::Capabilities& capabilities, std::int64_t now, double rate) {
  TYLLM_TRY(CheckNotReplaced(db, worker));
  TYLLM_TRY(db.Change(kPut, worker.worker, worker.session, ToColumn(capabilities), now, rate,
                      capabilities.toolchain_version)
                .status());
  return db.Change(kInsertSession, worker.worker, worker.session, now).status();
}

Result<std::vector<WorkerRecord>> List(Database& db) {
  TYLLM_ASSIGN(Rows rows, db.Query(kList));
  std::vector<WorkerRecord> workers;
  while (true) {
    TYLLM_ASSIGN(const bool more, rows.Next());
    if (!more) {
      return workers;
    }
    WorkerRecord worker{.name = rows.Text(0), .session = rows.Text(1)};
    TYLLM_ASSIGN(worker.capabilities,
                 FromColumn<domain::Capabilities>(rows.Text(2), "workers.capabilities"));
    TYLLM_ASSIGN(worker.order.mode, EnumColumn<domain::WorkerMode>(rows.Integer(3)));
    worker.order.reason = rows.Text(4);
    worker.last_seen_unix_ms = rows.Integer(5);
    if (!rows.IsNull(6)) {
      worker.order.by = rows.Text(6);
    }
    workers.push_back(std::move(worker));
  }
}

Status SetMode(Database& db, const std::string& worker, const domain::ModeOrder& order) {
  TYLLM_ASSIGN(const auto caller, callers::FindOrMake(db, order.by));
  TYLLM_ASSIGN(const std::int64_t changed,
               db.Change(kSetMode, worker, order.mode, order.reason, caller));
  return changed == 1 ? OkStatus() : NeverCalled(worker);
}

Status Forget(Database& db, const std::string& worker) {
  TYLLM_TRY(db.Change(kForgetSessions, worker).status());
  TYLLM_ASSIGN(const std::int64_t gone, db.Change(kForget, worker));
  return gone == 1 ? OkStatus() : NeverCalled(worker);
}

}  // namespace tyllm::server::store::workers
