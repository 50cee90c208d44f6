// SPDX-License-Identifier: Apache-2.0
#include "server/store/waiting.h"

#include <algorithm>
#include <compare>
#include <map>
#include <vector>

#include "server/store/actions.h"
#include "server/store/tasks.h"

namespace tyllm::server::store::waiting {

namespace {

constexpr Sql kLookedAt{
    "SELECT lane, job, position FROM tasks WHERE id = ?1 AND state = 1 AND use_cache = 1 AND "
    "waits = 0 AND action_key = ?2"};
// One step from lane to lane along the index, however many wait in each.
constexpr Sql kNextLane{
    "SELECT lane, job, position, id FROM tasks INDEXED BY tasks_joined WHERE state = 1 AND waits "
    "= 1 AND action_key = ?1 AND lane > ?2 ORDER BY lane, job, position LIMIT 1"};
constexpr Sql kFirstOfOthers{
    "SELECT job, position, id FROM tasks INDEXED BY tasks_joined WHERE state = 1 AND waits = 1 "
    "AND action_key = ?1 AND lane = ?2 AND job <> ?3 ORDER BY job, position LIMIT 1"};
constexpr Sql kSetWaits{
    "UPDATE tasks SET waits = ?2, has_result = ?3 WHERE id = ?1 AND state = 1 AND use_cache = 1"};

struct Queued {
  std::int64_t job = 0;
  std::int64_t position = 0;
  std::int64_t id = 0;
  bool waits = false;

  auto operator<=>(const Queued&) const = default;
};

using Lanes = std::map<std::int64_t, std::vector<Queued>>;

// Those that wait for no other.
Status AddLookedAt(const Ground& ground, const Sha256& key, Lanes& lanes) {
  for (const KeyIndex::RowId id : ground.keys.firsts.Find(key)) {
    TYLLM_ASSIGN(Rows rows, ground.db.Query(kLookedAt, id, key));
    TYLLM_ASSIGN(const bool found, rows.Next());
    if (found) {
      lanes[rows.Integer(0)].push_back({rows.Integer(1), rows.Integer(2), id, false});
    }
  }
  return OkStatus();
}

// Of those that wait the first of each lane: no other can take a place.
Status AddFirstWaiting(const Ground& ground, const Sha256& key, Lanes& lanes) {
  std::int64_t lane = 0;
  while (true) {
    TYLLM_ASSIGN(Rows rows, ground.db.Query(kNextLane, key, lane));
    TYLLM_ASSIGN(const bool found, rows.Next());
    if (!found) {
      return OkStatus();
    }
    lane = rows.Integer(0);
    lanes[lane].push_back({rows.Integer(1), rows.Integer(2), rows.Integer(3), true});
  }
}

Status SetWaits(const Ground& ground, const Sha256& key, std::int64_t id, bool waits,
                bool has_result) {
  TYLLM_TRY(ground.db.ChangeOne(TaskId{id}.ToString(), kSetWaits, id, waits, has_result));
  (waits ? ground.keys.firsts : ground.keys.others).Remove(key, id);
  (waits ? ground.keys.others : ground.keys.firsts).Add(key, id);
  return OkStatus();
}

bool IsOneTasks(const Keys& keys, const Sha256& key) {
  return !keys.others.Has(key) && !keys.firsts.HasSeveral(key) &&
         !(keys.firsts.Has(key) && keys.held.Has(key));
}

}  // namespace

Status Renew(const Ground& ground, const Sha256& key) {
  TYLLM_TRY(CheckKnown(ground.keys));
  if (IsOneTasks(ground.keys, key)) {
    return OkStatus();
  }
  TYLLM_ASSIGN(const std::optional<actions::Entry> result, actions::Find(ground, key));
  TYLLM_ASSIGN(const std::optional<TaskId> running, tasks::FindRunning(ground.db, key));
  const bool one_is_looked_at = result || !running;
  Lanes lanes;
  TYLLM_TRY(AddLookedAt(ground, key, lanes));
  TYLLM_TRY(AddFirstWaiting(ground, key, lanes));
  for (auto& [lane, queued] : lanes) {
    std::ranges::sort(queued);
    for (std::size_t i = 0; i < queued.size(); ++i) {
      const bool waits = i > 0 || !one_is_looked_at;
      if (queued[i].waits != waits) {
        TYLLM_TRY(SetWaits(ground, key, queued[i].id, waits, !waits && result));
      }
    }
  }
  return OkStatus();
}

Result<std::optional<TaskId>> FindFirst(const Ground& ground, const Sha256& key, JobId job) {
  TYLLM_TRY(CheckKnown(ground.keys));
  Lanes lanes;
  if (ground.keys.others.Has(key)) {
    TYLLM_TRY(AddFirstWaiting(ground, key, lanes));
  }
  std::optional<Queued> first;
  for (const auto& [lane, queued] : lanes) {
    TYLLM_ASSIGN(Rows rows, ground.db.Query(kFirstOfOthers, key, lane, job.value));
    TYLLM_ASSIGN(const bool found, rows.Next());
    if (found) {
      const Queued one{rows.Integer(0), rows.Integer(1), rows.Integer(2), true};
      first = first ? std::min(*first, one) : one;
    }
  }
  return first ? std::optional(TaskId{first->id}) : std::nullopt;
}

}  // namespace tyllm::server::store::waiting
