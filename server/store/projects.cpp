// SPDX-License-Identifier: Apache-2.0
#include "server/store/projects.h"

#include <algorithm>
#include <map>
#include <string>

#include "server/store/rows_json.h"

namespace tyllm::server::store::projects {

namespace {

constexpr Sql kEnsure{"INSERT INTO projects(name) VALUES(?1) ON CONFLICT(name) DO NOTHING"};
constexpr Sql kSet{
    "UPDATE projects SET weight = ?2, max_queued_jobs = ?3, max_running_tasks = ?4, "
    "max_stored_bytes = ?5 WHERE name = ?1"};

#define TYLLM_PROJECT_COLUMNS                                                   \
  "SELECT name, weight, max_queued_jobs, max_running_tasks, max_stored_bytes, " \
  "used_seconds, used_at_ms, total_seconds, stored_bytes, live_jobs FROM projects "
constexpr Sql kGet{TYLLM_PROJECT_COLUMNS "WHERE name = ?1"};
constexpr Sql kList{TYLLM_PROJECT_COLUMNS "ORDER BY name"};
#undef TYLLM_PROJECT_COLUMNS

constexpr Sql kUsed{"SELECT used_seconds, used_at_ms FROM projects WHERE name = ?1"};
constexpr Sql kCharge{
    "UPDATE projects SET used_seconds = ?2, used_at_ms = ?3, total_seconds = total_seconds + ?4 "
    "WHERE name = ?1"};
constexpr Sql kUses{
    "SELECT name, weight, used_seconds, used_at_ms, max_running_tasks FROM projects"};
constexpr Sql kLane{"SELECT project, job_class FROM lanes WHERE id = ?1"};
constexpr Sql kProjectOfJob{"SELECT project FROM jobs WHERE id = ?1"};
constexpr Sql kFindTree{"SELECT id FROM project_trees WHERE project = ?1 AND tree = ?2"};
constexpr Sql kTreeBytes{"SELECT bytes FROM project_trees WHERE project = ?1 AND tree = ?2"};
constexpr Sql kNewTree{"INSERT INTO project_trees(project, tree, bytes) VALUES(?1, ?2, ?3)"};
constexpr Sql kAddTree{
    "INSERT INTO job_trees(job, tree) VALUES(?1, ?2) ON CONFLICT(job, tree) DO NOTHING"};

constexpr Sql kTreesInUse{
    "SELECT tree FROM project_trees UNION SELECT output FROM actions UNION "
    "SELECT json_extract(checkpoint, '$.tree') FROM checkpoints ORDER BY 1"};

std::optional<std::int64_t> Optional(const Rows& rows, int column) {
  return rows.IsNull(column) ? std::nullopt : std::optional(rows.Integer(column));
}

ProjectRecord Read(const Rows& rows) {
  ProjectRecord record;
  record.project.name = rows.Text(0);
  record.project.weight = rows.Real(1);
  record.project.max_queued_jobs = Optional(rows, 2);
  record.project.max_running_tasks = Optional(rows, 3);
  record.project.max_stored_bytes = Optional(rows, 4);
  record.used_seconds = rows.Real(5);
  record.used_at_ms = rows.Integer(6);
  record.total_seconds = rows.Real(7);
  record.stored_bytes = rows.Integer(8);
  record.queued_jobs = rows.Integer(9);
  return record;
}

/// Whom the running tasks of a lane count for.
struct LaneShare {
  sched::Share* share;
  bool interactive;
};

Result<LaneShare> ShareOfLane(Database& db, std::int64_t lane, sched::Shares& shares) {
  TYLLM_ASSIGN(Rows rows, db.Query(kLane, lane));
  TYLLM_ASSIGN(const bool found, rows.Next());
  if (!found) {
    return DataLoss("there is no lane " + std::to_string(lane));
  }
  TYLLM_ASSIGN(const auto job_class, EnumColumn<domain::JobClass>(rows.Integer(1)));
  return LaneShare{&shares.projects[rows.Text(0)], job_class == domain::JobClass::kInteractive};
}

// Each lane is looked up once: there are few, and many tasks.
Status AddRunning(Database& db, const std::map<std::int64_t, RunningTasks::Task>& running,
                  std::int64_t now, sched::Shares& shares) {
  std::map<std::int64_t, LaneShare> lanes;
  for (const auto& [id, task] : running) {
    auto known = lanes.find(task.lane);
    if (known == lanes.end()) {
      TYLLM_ASSIGN(const LaneShare of_lane, ShareOfLane(db, task.lane, shares));
      known = lanes.emplace(task.lane, of_lane).first;
    }
    sched::Share& share = *known->second.share;
    const auto ran = static_cast<double>(std::max<std::int64_t>(0, now - task.started_ms));
    ++share.running_tasks;
    share.running_rate += task.rate;
    share.running_seconds += task.rate * ran / 1000;
    shares.interactive_tasks += known->second.interactive ? 1 : 0;
  }
  return OkStatus();
}

// Of the project's row of the tree, which is made when it is not there.
Result<std::int64_t> NumberOf(Database& db, const std::string& project, const std::string& tree,
                              std::int64_t bytes) {
  {
    TYLLM_ASSIGN(Rows rows, db.Query(kFindTree, project, tree));
    TYLLM_ASSIGN(const bool found, rows.Next());
    if (found) {
      return rows.Integer(0);
    }
  }
  TYLLM_TRY(db.Change(kNewTree, project, tree, bytes).status());
  return db.last_insert_id();
}

}  // namespace

Status Ensure(Database& db, const std::string& name) {
  return db.Change(kEnsure, name).status();
}

Status Set(Database& db, const domain::Project& project) {
  TYLLM_TRY(Ensure(db, project.name));
  return db.ChangeOne("project " + project.name, kSet, project.name, project.weight,
                      project.max_queued_jobs, project.max_running_tasks, project.max_stored_bytes);
}

Result<ProjectRecord> Get(Database& db, const std::string& name) {
  TYLLM_ASSIGN(Rows rows, db.Query(kGet, name));
  TYLLM_ASSIGN(const bool found, rows.Next());
  if (found) {
    return Read(rows);
  }
  ProjectRecord record;
  record.project.name = name;
  return record;
}

Result<std::vector<ProjectRecord>> List(Database& db) {
  TYLLM_ASSIGN(Rows rows, db.Query(kList));
  std::vector<ProjectRecord> all;
  while (true) {
    TYLLM_ASSIGN(const bool more, rows.Next());
    if (!more) {
      return all;
    }
    all.push_back(Read(rows));
  }
}

Status Charge(Database& db, const std::string& name, double device_seconds, std::int64_t now,
              const sched::Fairness& fairness) {
  double used = 0;
  {
    TYLLM_ASSIGN(Rows rows, db.Query(kUsed, name));
    TYLLM_TRY(rows.Next().status());
    used = sched::Decayed(rows.Real(0), Milliseconds(now - rows.Integer(1)), fairness);
  }
  return db.ChangeOne("project " + name, kCharge, name, used + device_seconds, now, device_seconds);
}

Result<sched::Shares> SharesAt(Database& db, RunningTasks& running, std::int64_t now,
                               const sched::Fairness& fairness) {
  sched::Shares shares;
  TYLLM_ASSIGN(Rows rows, db.Query(kUses));
  while (true) {
    TYLLM_ASSIGN(const bool more, rows.Next());
    if (!more) {
      break;
    }
    sched::Share& share = shares.projects[rows.Text(0)];
    share.weight = rows.Real(1);
    share.used_seconds =
        sched::Decayed(rows.Real(2), Milliseconds(now - rows.Integer(3)), fairness);
    share.max_running_tasks = Optional(rows, 4);
  }
  TYLLM_ASSIGN(const auto* const tasks, running.All());
  TYLLM_TRY(AddRunning(db, *tasks, now, shares));
  return shares;
}

Status AddTree(Database& db, JobId job, const BlobId& tree, std::int64_t bytes) {
  TYLLM_ASSIGN(Rows rows, db.Query(kProjectOfJob, job.value));
  TYLLM_ASSIGN(const bool found, rows.Next());
  if (!found) {
    return OkStatus();
  }
  TYLLM_ASSIGN(const std::int64_t number, NumberOf(db, rows.Text(0), tree.ToString(), bytes));
  return db.Change(kAddTree, job.value, number).status();
}

Result<std::int64_t> TreeBytes(Database& db, const std::string& project, const BlobId& tree) {
  TYLLM_ASSIGN(Rows rows, db.Query(kTreeBytes, project, tree.ToString()));
  TYLLM_ASSIGN(const bool found, rows.Next());
  return found ? rows.Integer(0) : 0;
}

Result<std::vector<BlobId>> TreesInUse(Database& db) {
  TYLLM_ASSIGN(Rows rows, db.Query(kTreesInUse));
  std::vector<BlobId> trees;
  while (true) {
    TYLLM_ASSIGN(const bool more, rows.Next());
    if (!more) {
      break;
    }
    TYLLM_ASSIGN(const BlobId tree, BlobId::Parse(rows.Text(0)));
    trees.push_back(tree);
  }
  // Texts and ids need not sort alike.
  std::sort(trees.begin(), trees.end());
  return trees;
}

}  // namespace tyllm::server::store::projects
