// SPDX-License-Identifier: Apache-2.0
#include "server/store/checkpoints.h"

#include <vector>

#include "server/store/rows_json.h"

namespace tyllm::server::store::checkpoints {

namespace {

constexpr Sql kPut{
    "INSERT INTO checkpoints(key, task, checkpoint, at_ms) VALUES(?1, ?2, ?3, ?4) "
    "ON CONFLICT(key) DO UPDATE SET task = excluded.task, checkpoint = excluded.checkpoint, "
    "at_ms = excluded.at_ms"};
constexpr Sql kFind{"SELECT checkpoint FROM checkpoints WHERE key = ?1 AND (?2 OR task = ?3)"};
constexpr Sql kRemove{"DELETE FROM checkpoints WHERE key = ?1"};
constexpr Sql kOld{
    "SELECT key FROM checkpoints WHERE at_ms < ?1 AND NOT EXISTS(SELECT 1 FROM tasks WHERE "
    "action_key = checkpoints.key AND state IN (2, 3))"};

Result<std::vector<Sha256>> FindOld(Database& db, std::int64_t before) {
  TYLLM_ASSIGN(Rows rows, db.Query(kOld, before));
  std::vector<Sha256> found;
  while (true) {
    TYLLM_ASSIGN(const bool more, rows.Next());
    if (!more) {
      return found;
    }
    found.push_back(rows.Digest(0).value_or(Sha256{}));
  }
}

}  // namespace

Status Put(Database& db, const tasks::Row& task, const domain::Checkpoint& checkpoint,
           std::int64_t now) {
  return db.Change(kPut, task.key, task.id.value, ToColumn(checkpoint), now).status();
}

Result<std::optional<domain::Checkpoint>> Find(Database& db, const tasks::Row& task) {
  std::optional<domain::Checkpoint> checkpoint;
  if (!task.key) {
    return checkpoint;
  }
  TYLLM_ASSIGN(Rows rows, db.Query(kFind, task.key, task.use_cache, task.id.value));
  TYLLM_ASSIGN(const bool found, rows.Next());
  if (found) {
    TYLLM_ASSIGN(checkpoint,
                 FromColumn<domain::Checkpoint>(rows.Text(0), "checkpoints.checkpoint"));
  }
  return checkpoint;
}

Status Remove(Database& db, const tasks::Row& task) {
  return task.key ? Remove(db, *task.key) : OkStatus();
}

Status Remove(Database& db, const Sha256& key) {
  return db.Change(kRemove, key).status();
}

Result<std::int64_t> RemoveOld(const Ground& ground, std::int64_t before) {
  TYLLM_TRY(CheckKnown(ground.keys));
  TYLLM_ASSIGN(const std::vector<Sha256> found, FindOld(ground.db, before));
  std::int64_t removed = 0;
  for (const Sha256& key : found) {
    if (!ground.keys.firsts.Has(key) && !ground.keys.others.Has(key)) {
      TYLLM_ASSIGN(const std::int64_t gone, ground.db.Change(kRemove, key));
      removed += gone;
    }
  }
  return removed;
}

}  // namespace tyllm::server::store::checkpoints
