// SPDX-License-Identifier: Apache-2.0
#include "server/store/joining.h"

#include "server/store/callers.h"
#include "server/store/job_progress.h"
#include "server/store/jobs.h"
#include "server/store/tasks.h"

namespace tyllm::server::store {

namespace {

events::Draft TellNewOwner(const tasks::Row& running, JobId from) {
  return {.text = running.label + " runs on worker " + running.holder.worker + " (attempt " +
                  std::to_string(running.attempt) + "), begun for " + from.ToString() +
                  ", which was cancelled",
          .task = running.id,
          .task_state = running.state,
          .attempt = running.attempt};
}

Result<std::vector<JobId>> HandOver(const Ground& ground, JobId job, std::int64_t now) {
  Database& db = ground.db;
  std::vector<JobId> heirs;
  TYLLM_ASSIGN(const std::vector<tasks::Row> rows, tasks::OfJob(db, job));
  for (const tasks::Row& row : rows) {
    if (row.state != domain::TaskState::kLeased) {
      continue;
    }
    TYLLM_ASSIGN(const std::optional<tasks::Row> waiting, tasks::FindWaitingFor(ground, row));
    if (!waiting) {
      continue;
    }
    TYLLM_TRY(tasks::Exchange(ground, row, *waiting));
    TYLLM_ASSIGN(const tasks::Row moved, tasks::Get(db, row.id));
    TYLLM_TRY(ProgressJob(ground, moved.job, {TellNewOwner(moved, job)}, now));
    heirs.push_back(moved.job);
  }
  return heirs;
}

events::Draft TellCancelled(const tasks::Row& row, domain::TaskState state) {
  const char* const what =
      state == domain::TaskState::kCancelled ? " is cancelled" : " is being stopped";
  return {.text = row.label + what, .task = row.id, .task_state = state, .attempt = row.attempt};
}

}  // namespace

Result<std::vector<JobId>> CancelJob(const Ground& ground, JobId job, const std::string& by,
                                     std::int64_t now) {
  Database& db = ground.db;
  TYLLM_ASSIGN(const jobs::Row row, jobs::Get(db, job));
  if (IsFinal(row.state) || row.cancel_asked) {
    return std::vector<JobId>();
  }
  TYLLM_TRY(jobs::AskCancel(db, job));
  TYLLM_ASSIGN(std::vector<JobId> heirs, HandOver(ground, job, now));
  TYLLM_ASSIGN(const auto caller, callers::FindOrMake(db, by));
  std::vector<events::Draft> drafts = {
      {.text = "cancellation asked for", .task = {}, .caller = caller}};
  TYLLM_ASSIGN(const std::vector<tasks::Row> rows, tasks::OfJob(db, job));
  for (const tasks::Row& task : rows) {
    if (const auto next = Next(task.state, domain::TaskEvent::kCancel)) {
      TYLLM_TRY(tasks::SetCancelled(ground, task, *next, now));
      drafts.push_back(TellCancelled(task, *next));
    }
  }
  TYLLM_TRY(ProgressJob(ground, job, std::move(drafts), now));
  return heirs;
}

}  // namespace tyllm::server::store
