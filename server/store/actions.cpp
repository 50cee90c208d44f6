// SPDX-License-Identifier: Apache-2.0
#include "server/store/actions.h"

namespace tyllm::server::store::actions {

namespace {

constexpr Sql kPut{
    "INSERT INTO actions(key, output, task, at_ms) VALUES(?1, ?2, ?3, ?4) ON CONFLICT(key) "
    "DO UPDATE SET output = excluded.output, task = excluded.task, at_ms = excluded.at_ms"};
constexpr Sql kRemove{"DELETE FROM actions WHERE key = ?1"};

}  // namespace

Status Put(Database& db, const Sha256& key, const BlobId& output, TaskId task, std::int64_t now) {
  return db.Change(kPut, key, output.ToString(), task.value, now).status();
}

Status Remove(Database& db, const Sha256& key) {
  return db.Change(kRemove, key).status();
}

}  // namespace tyllm::server::store::actions
