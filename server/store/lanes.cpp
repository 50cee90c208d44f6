// SPDX-License-Identifier: Apache-2.0
#include "server/store/lanes.h"

#include "server/store/projects.h"
#include "server/store/rows_json.h"

namespace tyllm::server::store::lanes {

namespace {

using domain::Requirement;

constexpr Sql kFind{
    "SELECT id FROM lanes WHERE project = ?1 AND job_class = ?2 AND priority = ?3 AND kind = ?4 "
    "AND requirements = ?5"};
constexpr Sql kInsert{
    "INSERT INTO lanes(project, job_class, priority, kind, requirements) "
    "VALUES(?1, ?2, ?3, ?4, ?5)"};
constexpr Sql kGet{
    "SELECT project, job_class, priority, kind, requirements FROM lanes WHERE id = ?1"};
constexpr Sql kProjectOf{"SELECT project FROM lanes WHERE id = ?1"};
// One step from lane to lane along the index: as many as there are lanes with something in them,
// however many tasks there are.
constexpr Sql kNext{
    "SELECT lane FROM tasks INDEXED BY tasks_queued WHERE state = 1 AND waits = 0 AND lane > ?1 "
    "ORDER BY lane LIMIT 1"};
// Of what can be given out: as kCandidates in tasks.cpp.
constexpr Sql kOldestDue{
    "SELECT job, queued_ms FROM tasks INDEXED BY tasks_queued WHERE state = 1 AND waits = 0 AND "
    "lane = ?1 AND not_before_ms <= ?2 AND has_result = 0 ORDER BY job, position LIMIT 1"};
constexpr Sql kCountBefore{
    "SELECT count(*) FROM (SELECT 1 FROM tasks INDEXED BY tasks_queued WHERE state = 1 AND "
    "waits = 0 AND lane = ?1 AND job < ?2 LIMIT ?3)"};
constexpr Sql kLiveOfJob{"SELECT id, lane FROM tasks WHERE job = ?1 AND state < 4 ORDER BY id"};
constexpr Sql kLaneOf{"SELECT lane FROM tasks WHERE id = ?1"};
constexpr Sql kSetLane{"UPDATE tasks SET lane = ?2 WHERE id = ?1 AND state < 4"};

Status SetLane(Database& db, TaskId task, const sched::LaneKey& key) {
  TYLLM_ASSIGN(const std::int64_t lane, FindOrMake(db, key));
  return db.ChangeOne(task.ToString(), kSetLane, task.value, lane);
}

Result<std::optional<std::int64_t>> Next(Database& db, std::int64_t after) {
  TYLLM_ASSIGN(Rows rows, db.Query(kNext, after));
  TYLLM_ASSIGN(const bool found, rows.Next());
  return found ? std::optional(rows.Integer(0)) : std::nullopt;
}

}  // namespace

sched::LaneKey KeyOf(const domain::JobSpec& job, const domain::PlannedTask& task) {
  return {job.project, job.job_class, job.priority, sched::NeedsOf(task, job.requirements)};
}

Result<std::int64_t> FindOrMake(Database& db, const sched::LaneKey& key) {
  const std::string requirements = ToColumn(key.needs.requirements);
  {
    TYLLM_ASSIGN(Rows rows, db.Query(kFind, key.project, key.job_class, key.priority,
                                     key.needs.kind, requirements));
    TYLLM_ASSIGN(const bool found, rows.Next());
    if (found) {
      return rows.Integer(0);
    }
  }
  TYLLM_TRY(projects::Ensure(db, key.project));
  TYLLM_TRY(
      db.Change(kInsert, key.project, key.job_class, key.priority, key.needs.kind, requirements)
          .status());
  return db.last_insert_id();
}

Result<sched::LaneKey> Get(Database& db, std::int64_t lane) {
  TYLLM_ASSIGN(Rows rows, db.Query(kGet, lane));
  TYLLM_ASSIGN(const bool found, rows.Next());
  if (!found) {
    return DataLoss("there is no lane " + std::to_string(lane));
  }
  sched::LaneKey key;
  key.project = rows.Text(0);
  TYLLM_ASSIGN(key.job_class, EnumColumn<domain::JobClass>(rows.Integer(1)));
  key.priority = static_cast<std::int32_t>(rows.Integer(2));
  TYLLM_ASSIGN(key.needs.kind, EnumColumn<domain::TaskKind>(rows.Integer(3)));
  TYLLM_ASSIGN(key.needs.requirements,
               FromColumn<std::vector<Requirement>>(rows.Text(4), "lanes.requirements"));
  return key;
}

Result<sched::LaneKey> Of(Database& db, TaskId task) {
  std::int64_t lane = 0;
  {
    TYLLM_ASSIGN(Rows rows, db.Query(kLaneOf, task.value));
    TYLLM_ASSIGN(const bool found, rows.Next());
    if (!found) {
      return NotFound("there is no task " + task.ToString());
    }
    lane = rows.Integer(0);
  }
  return Get(db, lane);
}

Result<std::string> ProjectOf(Database& db, std::int64_t lane) {
  TYLLM_ASSIGN(Rows rows, db.Query(kProjectOf, lane));
  TYLLM_ASSIGN(const bool found, rows.Next());
  return found ? Result<std::string>(rows.Text(0))
               : DataLoss("there is no lane " + std::to_string(lane));
}

Result<std::vector<sched::Lane>> Waiting(Database& db, std::int64_t now) {
  std::vector<sched::Lane> lanes;
  std::int64_t last = 0;
  while (true) {
    TYLLM_ASSIGN(const std::optional<std::int64_t> next, Next(db, last));
    if (!next) {
      return lanes;
    }
    last = *next;
    sched::Lane lane{.id = last, .key = {}, .oldest_job = {}};
    {
      TYLLM_ASSIGN(Rows rows, db.Query(kOldestDue, last, now));
      TYLLM_ASSIGN(const bool due, rows.Next());
      if (!due) {
        continue;
      }
      lane.oldest_job = JobId{rows.Integer(0)};
      lane.oldest_queued_ms = rows.Integer(1);
    }
    TYLLM_ASSIGN(lane.key, Get(db, last));
    lanes.push_back(std::move(lane));
  }
}

Result<std::int64_t> CountBefore(Database& db, std::int64_t lane, JobId before,
                                 std::int64_t limit) {
  TYLLM_ASSIGN(Rows rows, db.Query(kCountBefore, lane, before.value, limit));
  TYLLM_TRY(rows.Next().status());
  return rows.Integer(0);
}

Status MoveJob(Database& db, JobId job, std::int32_t priority) {
  std::vector<std::pair<TaskId, std::int64_t>> live;
  {
    TYLLM_ASSIGN(Rows rows, db.Query(kLiveOfJob, job.value));
    while (true) {
      TYLLM_ASSIGN(const bool more, rows.Next());
      if (!more) {
        break;
      }
      live.emplace_back(TaskId{rows.Integer(0)}, rows.Integer(1));
    }
  }
  for (const auto& [task, lane] : live) {
    TYLLM_ASSIGN(sched::LaneKey key, Get(db, lane));
    key.priority = priority;
    TYLLM_TRY(SetLane(db, task, key));
  }
  return OkStatus();
}

Status AskForGpuMemory(Database& db, TaskId task, std::int64_t bytes) {
  TYLLM_ASSIGN(sched::LaneKey key, Of(db, task));
  key.needs = sched::WithGpuMemory(std::move(key.needs), bytes);
  return SetLane(db, task, key);
}

}  // namespace tyllm::server::store::lanes
