// SPDX-License-Identifier: Apache-2.0
#include "server/store/actions.h"

namespace tyllm::server::store::actions {

namespace {

constexpr Sql kPut{
    "INSERT INTO actions(key, output, task, at_ms) VALUES(?1, ?2, ?3, ?4) ON CONFLICT(key) "
    "DO UPDATE SET output = excluded.output, task = excluded.task, at_ms = excluded.at_ms"};
constexpr Sql kRemove{"DELETE FROM actions WHERE key = ?1"};
constexpr Sql kTouch{"UPDATE actions SET at_ms = max(at_ms, ?2) WHERE key = ?1"};
constexpr Sql kRemoveOld{
    "DELETE FROM actions WHERE key IN (SELECT key FROM actions WHERE at_ms < ?1 AND NOT "
    "EXISTS(SELECT 1 FROM tasks INDEXED BY tasks_queued_key WHERE state = 1 AND action_key = "
    "actions.key) LIMIT ?2)"};
constexpr Sql kFind{"SELECT output, task FROM actions WHERE key = ?1"};

}  // namespace

Status Put(Database& db, const Sha256& key, const BlobId& output, TaskId task, std::int64_t now) {
  return db.Change(kPut, key, output.ToString(), task.value, now).status();
}

Status Remove(Database& db, const Sha256& key) {
  return db.Change(kRemove, key).status();
}

Status Touch(Database& db, const Sha256& key, std::int64_t now) {
  return db.Change(kTouch, key, now).status();
}

Result<std::int64_t> RemoveOld(Database& db, std::int64_t before, std::int64_t limit) {
  return db.Change(kRemoveOld, before, limit);
}

Result<std::optional<Entry>> Find(Database& db, const Sha256& key) {
  TYLLM_ASSIGN(Rows rows, db.Query(kFind, key));
  TYLLM_ASSIGN(const bool found, rows.Next());
  if (!found) {
    return std::optional<Entry>();
  }
  TYLLM_ASSIGN(const BlobId output, BlobId::Parse(rows.Text(0)));
  return std::optional(Entry{output, TaskId{rows.Integer(1)}});
}

}  // namespace tyllm::server::store::actions
