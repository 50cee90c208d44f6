// SPDX-License-Identifier: Apache-2.0
#include "server/store/enqueue.h"

#include "server/store/job_progress.h"
#include "server/store/jobs.h"
#include "server/store/lanes.h"
#include "server/store/requests.h"
#include "server/store/tasks.h"

namespace tyllm::server::store {

namespace {

std::string Greeting(const NewJob& job) {
  std::string text = "job accepted: " + std::to_string(job.plan.tasks.size()) + " tasks";
  if (job.retry_of) {
    text +=
        ", " + std::to_string(job.kept.size()) + " of them kept from " + job.retry_of->ToString();
  }
  return text;
}

}  // namespace

Result<JobId> Enqueue(const Ground& ground, const NewJob& job, std::int64_t now) {
  Database& db = ground.db;
  TYLLM_ASSIGN(const JobId id, jobs::Insert(db, job, now));
  TYLLM_TRY(requests::Insert(db, job.request_id, {job.method, job.fingerprint, id}, now));
  std::int64_t position = 0;
  for (const domain::PlannedTask& task : job.plan.tasks) {
    TYLLM_ASSIGN(const std::int64_t lane, lanes::FindOrMake(db, lanes::KeyOf(job.spec, task)));
    TYLLM_ASSIGN(const TaskId made,
                 tasks::Insert(db, id, position++, task, !job.spec.no_cache, lane));
    if (const auto kept = job.kept.find(task.label); kept != job.kept.end()) {
      TYLLM_TRY(tasks::SetKept(db, made, kept->second, now));
    }
  }
  TYLLM_TRY(
      ProgressJob(db, id, {{.text = Greeting(job), .task = {}}}, ground.toolchain_version, now));
  return id;
}

Result<std::vector<TaskId>> DeleteJob(const Ground& ground, JobId job) {
  TYLLM_ASSIGN(const jobs::Row row, jobs::Get(ground.db, job));
  if (!IsFinal(row.state)) {
    return FailedPrecondition(job.ToString() + " is " +
                              std::string(domain::kJobStateNames.Name(row.state)) +
                              "; cancel it first");
  }
  std::vector<TaskId> gone;
  TYLLM_ASSIGN(const std::vector<tasks::Row> rows, tasks::OfJob(ground.db, job));
  for (const tasks::Row& task : rows) {
    gone.push_back(task.id);
  }
  TYLLM_TRY(jobs::Delete(ground.db, job));
  return gone;
}

}  // namespace tyllm::server::store
