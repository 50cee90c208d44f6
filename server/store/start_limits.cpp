// SPDX-License-Identifier: Apache-2.0
#include "server/store/start_limits.h"

#include <optional>
#include <string>
#include <utility>

#include "server/store/actions.h"
#include "server/store/job_progress.h"
#include "server/store/jobs.h"
#include "server/store/tasks.h"

namespace tyllm::server::store {

namespace {

using domain::TaskState;

// Along the index of the few jobs that have a limit.
constexpr Sql kUnstarted{
    "SELECT id FROM jobs INDEXED BY jobs_start_by WHERE start_by_ms IS NOT NULL AND start_by_ms <= "
    "?1 AND created_ms >= ?2 ORDER BY start_by_ms, id LIMIT ?3"};
constexpr Sql kCorrect{
    "UPDATE jobs SET start_by_ms = min(start_by_ms, ?1 + (SELECT json_extract(spec, "
    "'$.start_within_ms') FROM job_texts WHERE job = jobs.id)) "
    "WHERE start_by_ms IS NOT NULL AND created_ms > ?1"};

// Its action has a result, or somebody runs it.
Result<bool> IsMade(const Ground& ground, const tasks::Row& row) {
  if (row.state != TaskState::kQueued || !row.use_cache || !row.key) {
    return false;
  }
  TYLLM_ASSIGN(const std::optional<actions::Entry> result, actions::Find(ground, *row.key));
  TYLLM_ASSIGN(const std::optional<TaskId> running, tasks::FindRunning(ground.db, *row.key));
  return result || running;
}

// The label of a task whose result is on its way: as good as begun.
Result<std::optional<std::string>> FindMade(const Ground& ground,
                                            const std::vector<tasks::Row>& rows) {
  for (const tasks::Row& row : rows) {
    TYLLM_ASSIGN(const bool made, IsMade(ground, row));
    if (made) {
      return std::optional(row.label);
    }
  }
  return std::optional<std::string>();
}

// The first fails; what waits for those that can begin follows from it (ProgressJob).
Result<std::vector<events::Draft>> EndQueued(const Ground& ground, std::vector<tasks::Row>& rows,
                                             const domain::Failure& failure, std::int64_t now) {
  std::vector<events::Draft> drafts;
  for (tasks::Row& row : rows) {
    if (row.state != TaskState::kQueued) {
      continue;
    }
    const bool first = drafts.empty();
    if (first) {
      TYLLM_TRY(tasks::SetFailed(ground, row, failure, now));
    } else {
      TYLLM_TRY(tasks::SetCancelled(ground, row, TaskState::kCancelled, now));
    }
    row.state = first ? TaskState::kFailed : TaskState::kCancelled;
    drafts.push_back(
        {.text = row.label + (first ? " failed: " + failure.reason + ": " + failure.message
                                    : " is cancelled: the job is given up"),
         .task = row.id,
         .task_state = row.state,
         .attempt = row.attempt});
  }
  return drafts;
}

}  // namespace

Result<std::vector<JobId>> Unstarted(Database& db, std::int64_t now, std::int64_t created_from,
                                     std::int64_t limit) {
  TYLLM_ASSIGN(Rows rows, db.Query(kUnstarted, now, created_from, limit));
  std::vector<JobId> found;
  while (true) {
    TYLLM_ASSIGN(const bool more, rows.Next());
    if (!more) {
      return found;
    }
    found.push_back(JobId{rows.Integer(0)});
  }
}

Result<bool> GiveUp(const Ground& ground, JobId job, const domain::Failure& failure,
                    std::int64_t now) {
  TYLLM_ASSIGN(const jobs::Row row, jobs::Get(ground.db, job));
  if (!row.start_by_ms || *row.start_by_ms > now) {
    return false;  // it has begun or ended, or has time
  }
  TYLLM_ASSIGN(std::vector<tasks::Row> rows, tasks::OfJob(ground.db, job));
  TYLLM_ASSIGN(const std::optional<std::string> made, FindMade(ground, rows));
  if (made) {
    TYLLM_TRY(jobs::LiftStartLimit(ground.db, job));
    const std::string text =
        *made + ": others make its result already, so the job counts as begun in time";
    TYLLM_TRY(ProgressJob(ground, rows, {{.text = text, .task = std::nullopt}}, now));
    return false;
  }
  TYLLM_ASSIGN(std::vector<events::Draft> drafts, EndQueued(ground, rows, failure, now));
  TYLLM_TRY(jobs::SetFailure(ground.db, job, failure));
  TYLLM_TRY(ProgressJob(ground, rows, std::move(drafts), now));
  return true;
}

Status CorrectStartLimits(Database& db, std::int64_t now) {
  return db.Change(kCorrect, now).status();
}

}  // namespace tyllm::server::store
