// SPDX-License-Identifier: Apache-2.0
#include "server/store/rows_json.h"
#include "server/store/tasks.h"

// Queued tasks whose results are there already, or are now.
namespace tyllm::server::store::tasks {

namespace {

constexpr Sql kCacheHits{
    "SELECT t.id, t.action_key, a.output, t.job, t.kind, t.queued_ms < coalesce((SELECT "
    "m.ended_ms FROM tasks AS m WHERE m.id = a.task), 0) FROM tasks AS t JOIN actions AS a "
    "ON a.key = t.action_key "
    "WHERE t.state = 1 AND t.has_result = 1 ORDER BY t.job, t.position LIMIT ?1"};
constexpr Sql kWaitsForResult{
    "SELECT 1 FROM tasks INDEXED BY tasks_queued_key WHERE state = 1 AND action_key = ?1 LIMIT 1"};
constexpr Sql kNoteResult{
    "UPDATE tasks SET has_result = ?2 WHERE state = 1 AND use_cache = 1 AND action_key = ?1"};

}  // namespace

Result<std::vector<CacheHit>> CacheHits(Database& db, std::int64_t limit) {
  TYLLM_ASSIGN(Rows rows, db.Query(kCacheHits, limit));
  std::vector<CacheHit> hits;
  while (true) {
    TYLLM_ASSIGN(const bool more, rows.Next());
    if (!more) {
      return hits;
    }
    TYLLM_ASSIGN(const BlobId output, BlobId::Parse(rows.Text(2)));
    TYLLM_ASSIGN(const auto kind, EnumColumn<domain::TaskKind>(rows.Integer(4)));
    hits.push_back({.task = TaskId{rows.Integer(0)},
                    .job = JobId{rows.Integer(3)},
                    .key = rows.Digest(1).value_or(Sha256{}),
                    .output = output,
                    .kind = kind,
                    .waited = rows.Integer(5) != 0});
  }
}

Status NoteResult(Database& db, const Sha256& key, bool exists) {
  {
    // Hardly ever does one, and an update prepares to write all indexes before it knows.
    TYLLM_ASSIGN(Rows rows, db.Query(kWaitsForResult, key));
    TYLLM_ASSIGN(const bool waits, rows.Next());
    if (!waits) {
      return OkStatus();
    }
  }
  return db.Change(kNoteResult, key, exists).status();
}

}  // namespace tyllm::server::store::tasks
