// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "server/store/actions.h"
#include "server/store/rows_json.h"
#include "server/store/tasks.h"
#include "server/store/waiting.h"

// Tasks come, and go from state to state.
namespace tyllm::server::store::tasks {

namespace {

using domain::TaskState;

constexpr Sql kInsert{
    "INSERT INTO tasks(job, position, label, kind, state, spec, inputs, use_cache, lane, "
    "action_key, input_trees, output, cached, kept, made_by, queued_ms, ended_ms, has_result) "
    "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, "
    "?18)"};

// has_result of a task that is queued and waits for no other says whether its action has one: kept
// right where tasks become queued, in kInsert, here, in kSetQueued and in kSetSpec, where results
// come and go, in NoteResult, and in waiting::Renew.
constexpr Sql kSetReady{
    "UPDATE tasks SET state = 1, action_key = ?2, queued_ms = ?3, input_trees = ?4, "
    "has_result = ?5 WHERE id = ?1 AND state = 0"};
constexpr Sql kSetLeased{
    "UPDATE tasks SET state = 2, waits = 0, attempt = attempt + 1, worker = ?3, session = ?4, "
    "started_ms = ?5, rate = coalesce((SELECT rate FROM workers WHERE name = ?3), 1) "
    "WHERE id = ?1 AND state = 1 AND attempt = ?2"};
constexpr Sql kAddDeviceSeconds{
    "UPDATE tasks SET device_seconds = device_seconds + ?3 "
    "WHERE id = ?1 AND state IN (2, 3) AND attempt = ?2"};
constexpr Sql kSetSession{
    "UPDATE tasks SET session = ?3 WHERE id = ?1 AND state IN (2, 3) AND attempt = ?2"};
constexpr Sql kSetSucceeded{
    "UPDATE tasks SET state = 4, waits = 0, output = ?4, failure = NULL, cached = ?5, "
    "ended_ms = ?6, made_by = ?7, device_seconds = device_seconds + ?8 "
    "WHERE id = ?1 AND state = ?2 AND attempt = ?3"};
constexpr Sql kSetQueued{
    "UPDATE tasks SET state = 1, failures = ?3, losses = ?4, failure = ?5, not_before_ms = ?6, "
    "queued_ms = ?7, has_result = ?8 WHERE id = ?1 AND state = 2 AND attempt = ?2"};
constexpr Sql kSetFailed{
    "UPDATE tasks SET state = 5, failures = ?3, losses = ?4, failure = ?5, ended_ms = ?6 "
    "WHERE id = ?1 AND state = 2 AND attempt = ?2"};
constexpr Sql kSetSpec{
    "UPDATE tasks SET spec = ?3, lane = ?4, action_key = ?5, has_result = ?6, waits = 0 "
    "WHERE id = ?1 AND state = ?2 AND state < 2"};
constexpr Sql kSetFailedQueued{
    "UPDATE tasks SET state = 5, waits = 0, failure = ?3, ended_ms = ?4 "
    "WHERE id = ?1 AND state = 1 AND attempt = ?2"};
constexpr Sql kSetCancelled{
    "UPDATE tasks SET state = 6, waits = 0, ended_ms = ?4 "
    "WHERE id = ?1 AND state = ?2 AND attempt = ?3"};
constexpr Sql kSetCancelling{
    "UPDATE tasks SET state = 3 WHERE id = ?1 AND state = ?2 AND attempt = ?3"};

// Of a task that is queued, or will be.
Result<bool> HasResult(const Ground& ground, const Row& row, const std::optional<Sha256>& key) {
  if (!row.use_cache || !key) {
    return false;
  }
  TYLLM_ASSIGN(const std::optional<actions::Entry> entry, actions::Find(ground, *key));
  return entry.has_value();
}

// Which tasks are queued or held is known in memory, too: told wherever a row changes to it or from
// it.
Status NoteState(const Ground& ground, const Row& row, std::optional<TaskState> before,
                 TaskState now) {
  if (!row.key) {
    return OkStatus();
  }
  const Sha256& key = *row.key;
  Keys& keys = ground.keys;
  if (before == TaskState::kQueued) {
    keys.firsts.Remove(key, row.id.value);
    keys.others.Remove(key, row.id.value);
  } else if (before && IsHeld(*before)) {
    keys.held.Remove(key, row.id.value);
  }
  if (now == TaskState::kQueued) {
    (row.use_cache ? keys.firsts : keys.others).Add(key, row.id.value);
  } else if (IsHeld(now)) {
    keys.held.Add(key, row.id.value);
  }
  return waiting::Renew(ground, key);
}

/// Changes a row, which is in the state `next` then.
template <typename... Values>
Status Leave(const Ground& ground, const Row& row, TaskState next, const Sql& sql,
             const Values&... values) {
  TYLLM_TRY(ground.db.ChangeOne(row.id.ToString(), sql, row.id.value, values...));
  return NoteState(ground, row, row.state, next);
}

}  // namespace

Status Insert(const Ground& ground, Row& row) {
  const auto unless_zero = [](std::int64_t time) {
    return time == 0 ? std::nullopt : std::optional(time);
  };
  const bool queued = row.state == TaskState::kQueued;
  TYLLM_ASSIGN(const bool has_result, HasResult(ground, row, row.key));
  std::optional<std::string> output;
  if (row.output) {
    output = row.output->ToString();
  }
  std::optional<std::int64_t> maker;
  if (row.made_by) {
    maker = row.made_by->value;
  }
  TYLLM_TRY(ground.db
                .Change(kInsert, row.job.value, row.position, row.label, row.kind, row.state,
                        row.spec, row.inputs, row.use_cache, row.lane, row.key, row.input_trees,
                        output, row.cached, row.kept, maker, unless_zero(row.queued_ms),
                        unless_zero(row.ended_ms), queued && has_result)
                .status());
  row.id = TaskId{ground.db.last_insert_id()};
  return queued ? NoteState(ground, row, std::nullopt, row.state) : OkStatus();
}

Status SetReady(const Ground& ground, Row& row, const Sha256& key,
                const std::map<std::string, BlobId>& inputs, std::int64_t now) {
  TYLLM_ASSIGN(const bool has_result, HasResult(ground, row, key));
  TYLLM_TRY(ground.db.ChangeOne(row.id.ToString(), kSetReady, row.id.value, key, now,
                                TreesColumn(inputs), has_result));
  row.state = TaskState::kQueued;
  row.key = key;
  return NoteState(ground, row, std::nullopt, row.state);
}

Status AddDeviceSeconds(Database& db, const Row& row, double seconds) {
  return db.ChangeOne(row.id.ToString(), kAddDeviceSeconds, row.id.value, row.attempt, seconds);
}

Status SetLeased(const Ground& ground, const Row& row, const WorkerSession& holder,
                 std::int64_t now) {
  return Leave(ground, row, TaskState::kLeased, kSetLeased, row.attempt, holder.worker,
               holder.session, now);
}

Status SetSession(Database& db, const Row& row, const std::string& session) {
  return db.ChangeOne(row.id.ToString(), kSetSession, row.id.value, row.attempt, session);
}

Status SetSucceeded(const Ground& ground, const Row& row, const BlobId& output,
                    double device_seconds, std::int64_t now) {
  return Leave(ground, row, TaskState::kSucceeded, kSetSucceeded, row.state, row.attempt,
               output.ToString(), false, now, std::optional<std::int64_t>(), device_seconds);
}

Status SetCached(const Ground& ground, const Row& row, const BlobId& output,
                 const std::optional<TaskId>& made_by, std::int64_t now) {
  std::optional<std::int64_t> maker;
  if (made_by) {
    maker = made_by->value;
  }
  return Leave(ground, row, TaskState::kSucceeded, kSetSucceeded, row.state, row.attempt,
               output.ToString(), true, now, maker, 0.0);
}

Status SetJudged(const Ground& ground, const Row& row, const sched::Verdict& verdict,
                 std::int64_t now) {
  const sched::Spent& spent = verdict.spent;
  const std::string failure = ToColumn(verdict.failure);
  if (!verdict.again) {
    return Leave(ground, row, TaskState::kFailed, kSetFailed, row.attempt, spent.failures,
                 spent.losses, failure, now);
  }
  TYLLM_ASSIGN(const bool has_result, HasResult(ground, row, row.key));
  TYLLM_TRY(ground.db.ChangeOne(row.id.ToString(), kSetQueued, row.id.value, row.attempt,
                                spent.failures, spent.losses, failure, now + verdict.delay.count(),
                                now, has_result));
  return NoteState(ground, row, row.state, TaskState::kQueued);
}

Status SetSpec(const Ground& ground, Row& row, std::string spec, std::int64_t lane,
               const std::optional<Sha256>& key) {
  const bool queued = row.state == TaskState::kQueued;
  TYLLM_ASSIGN(const bool has_result, HasResult(ground, row, key));
  TYLLM_TRY(ground.db.ChangeOne(row.id.ToString(), kSetSpec, row.id.value, row.state, spec, lane,
                                key, queued && has_result));
  if (queued) {
    TYLLM_TRY(NoteState(ground, row, row.state, TaskState::kWaiting));  // for its old action
  }
  row.spec = std::move(spec);
  row.lane = lane;
  row.key = key;
  return queued ? NoteState(ground, row, std::nullopt, row.state) : OkStatus();
}

Status SetFailed(const Ground& ground, const Row& row, const domain::Failure& failure,
                 std::int64_t now) {
  return Leave(ground, row, TaskState::kFailed, kSetFailedQueued, row.attempt, ToColumn(failure),
               now);
}

Status SetCancelled(const Ground& ground, const Row& row, TaskState next, std::int64_t now) {
  if (next == TaskState::kCancelling) {
    return Leave(ground, row, next, kSetCancelling, row.state, row.attempt);
  }
  return Leave(ground, row, next, kSetCancelled, row.state, row.attempt, now);
}

}  // namespace tyllm::server::store::tasks
