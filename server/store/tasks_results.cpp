// SPDX-License-Identifier: Apache-2.0
#include "server/store/actions.h"
#include "server/store/rows_json.h"
#include "server/store/tasks.h"
#include "server/store/waiting.h"

// Queued tasks whose results are there already, or are now.
namespace tyllm::server::store::tasks {

namespace {

#define TYLLM_WITH_RESULT                                                                      \
  "SELECT id, action_key, job, kind, queued_ms FROM tasks INDEXED BY tasks_with_result WHERE " \
  "state = 1 AND has_result = 1 "
constexpr Sql kWithResult{TYLLM_WITH_RESULT "ORDER BY job, position"};
constexpr Sql kWithResultOf{TYLLM_WITH_RESULT "AND job = ?1 ORDER BY position"};
#undef TYLLM_WITH_RESULT
constexpr Sql kEnded{"SELECT ended_ms FROM tasks WHERE id = ?1"};
constexpr Sql kNoteResult{
    "UPDATE tasks SET has_result = ?3 WHERE id = ?1 AND state = 1 AND waits = 0 AND use_cache = 1 "
    "AND action_key = ?2"};

Result<bool> EndedAfter(Database& db, TaskId task, std::int64_t time) {
  TYLLM_ASSIGN(Rows rows, db.Query(kEnded, task.value));
  TYLLM_ASSIGN(const bool found, rows.Next());
  return found && rows.Integer(0) > time;
}

}  // namespace

Result<std::vector<CacheHit>> CacheHits(const Ground& ground, const HitFilter& which) {
  TYLLM_ASSIGN(Rows rows, which.job ? ground.db.Query(kWithResultOf, which.job->value)
                                    : ground.db.Query(kWithResult));
  std::vector<CacheHit> hits;
  while (static_cast<std::int64_t>(hits.size()) < which.limit) {
    TYLLM_ASSIGN(const bool more, rows.Next());
    if (!more) {
      break;
    }
    CacheHit hit{.task = TaskId{rows.Integer(0)},
                 .job = JobId{rows.Integer(2)},
                 .key = rows.Digest(1).value_or(Sha256{}),
                 .output = {}};
    if (which.without.contains(hit.key)) {
      continue;
    }
    TYLLM_ASSIGN(hit.kind, EnumColumn<domain::TaskKind>(rows.Integer(3)));
    TYLLM_ASSIGN(const std::optional<actions::Entry> entry, actions::Find(ground, hit.key));
    if (entry) {
      hit.output = entry->output;
      TYLLM_ASSIGN(hit.waited, EndedAfter(ground.db, entry->task, rows.Integer(4)));
      hits.push_back(std::move(hit));
    }
  }
  return hits;
}

Status NoteResult(const Ground& ground, const Sha256& key, bool exists) {
  TYLLM_TRY(CheckKnown(ground.keys));
  for (const KeyIndex::RowId id : ground.keys.firsts.Find(key)) {
    TYLLM_TRY(ground.db.Change(kNoteResult, id, key, exists).status());
  }
  return waiting::Renew(ground, key);
}

}  // namespace tyllm::server::store::tasks
