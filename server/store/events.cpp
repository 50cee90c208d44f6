// SPDX-License-Identifier: Apache-2.0
#include "server/store/events.h"

#include "server/store/rows_json.h"
#include "server/store/tasks.h"

namespace tyllm::server::store::events {

namespace {

using domain::TaskState;

constexpr Sql kInsert{
    "INSERT INTO job_events(job, number, at_ms, text, job_state, task, task_state, attempt, "
    "caller) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"};
constexpr Sql kAfter{
    "SELECT number, at_ms, text, job_state, task, task_state, attempt, "
    "(SELECT name FROM callers WHERE callers.id = caller) FROM job_events "
    "WHERE job = ?1 AND number > ?2 ORDER BY number LIMIT ?3"};

// The task as it was at the event: what came later is taken away again.
Result<std::optional<domain::TaskView>> TaskThen(Database& db, TaskId id, TaskState state,
                                                 domain::Attempt attempt) {
  const auto found = tasks::Get(db, id);
  if (found.status().code() == StatusCode::kNotFound) {
    return std::optional<domain::TaskView>();  // it moved to a job that was deleted since
  }
  TYLLM_TRY(found.status());
  const tasks::Row& row = *found;
  TYLLM_ASSIGN(domain::TaskView view, tasks::ToView(row));
  const bool is_latest = view.state == state && view.attempt == attempt;
  view.state = state;
  view.attempt = attempt;
  if (!is_latest) {
    view.output.reset();
    view.failure.reset();
    view.cached = false;
    view.ended_unix_ms = 0;
  }
  return std::optional(std::move(view));
}

}  // namespace

Status Insert(Database& db, JobId job, std::int64_t number, const Draft& draft,
              domain::JobState job_state, std::int64_t now) {
  std::optional<std::int64_t> task;
  std::optional<TaskState> task_state;
  std::optional<domain::Attempt> attempt;
  if (draft.task) {
    task = draft.task->value;
    task_state = draft.task_state;
    attempt = draft.attempt;
  }
  return db
      .Change(kInsert, job.value, number, now, draft.text, job_state, task, task_state, attempt,
              draft.caller)
      .status();
}

Result<std::vector<domain::JobEvent>> After(Database& db, JobId job, std::int64_t after,
                                            std::int64_t limit) {
  TYLLM_ASSIGN(Rows rows, db.Query(kAfter, job.value, after, limit));
  std::vector<domain::JobEvent> found;
  while (true) {
    TYLLM_ASSIGN(const bool more, rows.Next());
    if (!more) {
      return found;
    }
    domain::JobEvent event;
    event.number = rows.Integer(0);
    event.unix_ms = rows.Integer(1);
    event.text = rows.Text(2);
    TYLLM_ASSIGN(event.job_state, EnumColumn<domain::JobState>(rows.Integer(3)));
    if (!rows.IsNull(4)) {
      TYLLM_ASSIGN(const TaskState state, EnumColumn<TaskState>(rows.Integer(5)));
      TYLLM_ASSIGN(event.task, TaskThen(db, TaskId{rows.Integer(4)}, state,
                                        static_cast<domain::Attempt>(rows.Integer(6))));
    }
    if (!rows.IsNull(7)) {
      event.by = rows.Text(7);
    }
    found.push_back(std::move(event));
  }
}

}  // namespace tyllm::server::store::events
