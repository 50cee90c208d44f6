// SPDX-License-Identifier: Apache-2.0
#include "server/store/actions.h"

#include <utility>
#include <vector>

namespace tyllm::server::store::actions {

namespace {

constexpr Sql kInsert{"INSERT INTO actions(key, output, task, at_ms) VALUES(?1, ?2, ?3, ?4)"};
constexpr Sql kReplace{"UPDATE actions SET output = ?2, task = ?3, at_ms = ?4 WHERE id = ?1"};
constexpr Sql kRemove{"DELETE FROM actions WHERE id = ?1"};
constexpr Sql kTouch{"UPDATE actions SET at_ms = max(at_ms, ?2) WHERE id = ?1"};
constexpr Sql kOld{
    "SELECT id, key FROM actions WHERE at_ms < ?1 AND key NOT IN (SELECT action_key FROM tasks "
    "INDEXED BY tasks_with_result WHERE state = 1 AND has_result = 1) ORDER BY at_ms LIMIT ?2"};
constexpr Sql kGet{"SELECT output, task FROM actions WHERE id = ?1 AND key = ?2"};

struct Row {
  KeyIndex::RowId id;
  Entry entry;
};

Result<std::optional<Row>> Get(const Ground& ground, const Sha256& key) {
  TYLLM_TRY(CheckKnown(ground.keys));
  for (const KeyIndex::RowId id : ground.keys.results.Find(key)) {
    TYLLM_ASSIGN(Rows rows, ground.db.Query(kGet, id, key));
    TYLLM_ASSIGN(const bool found, rows.Next());
    if (found) {
      TYLLM_ASSIGN(const BlobId output, BlobId::Parse(rows.Text(0)));
      return std::optional(Row{id, {output, TaskId{rows.Integer(1)}}});
    }
  }
  return std::optional<Row>();
}

Status RemoveRow(const Ground& ground, KeyIndex::RowId id, const Sha256& key) {
  TYLLM_TRY(ground.db.Change(kRemove, id).status());
  ground.keys.results.Remove(key, id);
  return OkStatus();
}

using Old = std::vector<std::pair<KeyIndex::RowId, Sha256>>;

Result<Old> FindOld(Database& db, std::int64_t before, std::int64_t limit) {
  TYLLM_ASSIGN(Rows rows, db.Query(kOld, before, limit));
  Old found;
  while (true) {
    TYLLM_ASSIGN(const bool more, rows.Next());
    if (!more) {
      return found;
    }
    found.emplace_back(rows.Integer(0), rows.Digest(1).value_or(Sha256{}));
  }
}

}  // namespace

Status Put(const Ground& ground, const Sha256& key, const BlobId& output, TaskId task,
           std::int64_t now) {
  TYLLM_ASSIGN(const std::optional<Row> before, Get(ground, key));
  if (before) {
    return ground.db.Change(kReplace, before->id, output.ToString(), task.value, now).status();
  }
  TYLLM_TRY(ground.db.Change(kInsert, key, output.ToString(), task.value, now).status());
  ground.keys.results.Add(key, ground.db.last_insert_id());
  return OkStatus();
}

Status Remove(const Ground& ground, const Sha256& key) {
  TYLLM_ASSIGN(const std::optional<Row> row, Get(ground, key));
  return row ? RemoveRow(ground, row->id, key) : OkStatus();
}

Status Touch(const Ground& ground, const Sha256& key, std::int64_t now) {
  TYLLM_ASSIGN(const std::optional<Row> row, Get(ground, key));
  return row ? ground.db.Change(kTouch, row->id, now).status() : OkStatus();
}

Result<std::int64_t> RemoveOld(const Ground& ground, std::int64_t before, std::int64_t limit) {
  TYLLM_ASSIGN(const Old found, FindOld(ground.db, before, limit));
  for (const auto& [id, key] : found) {
    TYLLM_TRY(RemoveRow(ground, id, key));
  }
  return static_cast<std::int64_t>(found.size());
}

Result<std::optional<Entry>> Find(const Ground& ground, const Sha256& key) {
  TYLLM_ASSIGN(std::optional<Row> row, Get(ground, key));
  return row ? std::optional(std::move(row->entry)) : std::nullopt;
}

}  // namespace tyllm::server::store::actions
