// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "server/store/database.h"
#include "server/store/queue.h"

// Columns of jobs as Read takes them. CROSS JOIN: the order is that of jobs.
#define TYLLM_JOB_COLUMNS                                                          \
  "SELECT id, state, cancel_asked, spec, outputs, failure, created_ms, ended_ms, " \
  "last_event, project, priority, retry_of, labels, "                              \
  "(SELECT name FROM callers WHERE callers.id = submitted_by), start_by_ms "       \
  "FROM jobs CROSS JOIN job_texts ON job = id "

// Tables jobs and job_texts.
namespace tyllm::server::store::jobs {

struct Row {
  JobId id;
  domain::JobState state = domain::JobState::kQueued;
  bool cancel_asked = false;
  std::string spec;     ///< JSON
  std::string outputs;  ///< JSON
  std::optional<std::string> failure;
  std::int64_t created_ms = 0;
  std::int64_t ended_ms = 0;
  std::int64_t last_event = 0;
  std::string project;
  std::int32_t priority = 0;
  std::optional<JobId> retry_of;
  std::optional<std::string> labels;  ///< JSON object; as in the spec where there are none
  std::string submitted_by;           ///< name; empty: nobody with one
  std::optional<std::int64_t> start_by_ms;
};

/// What of a new job does not follow from its request.
struct Beginning {
  domain::JobState state = domain::JobState::kQueued;  ///< not a final one
  std::int64_t last_event = 0;
  std::optional<std::int64_t> submitted_by;  ///< table callers
  std::optional<std::int64_t> start_by_ms;
};

Result<JobId> Insert(Database& db, const NewJob& job, const Beginning& beginning, std::int64_t now);
/// kNotFound when there is no such job.
Result<Row> Get(Database& db, JobId id);

/// What changes with its tasks.
struct Standing {
  domain::JobState state = domain::JobState::kQueued;
  bool cancel_asked = false;
  std::int64_t last_event = 0;
  bool has_start_limit = false;
  // Of a job that ends, else as they are here:
  domain::JobKind kind = domain::JobKind::kPipeline;
  std::optional<domain::Blame> blame;  ///< of its failure
};

/// kNotFound when there is no such job.
Result<Standing> StandingOf(Database& db, JobId id, bool ends);
/// The row of a statement that selects TYLLM_JOB_COLUMNS.
Result<Row> Read(const Rows& rows);
/// Without tasks and outputs.
Result<std::vector<domain::JobView>> List(Database& db, const JobFilter& filter);
Result<std::map<domain::JobState, std::int64_t>> Count(Database& db);
Status AskCancel(Database& db, JobId id);
/// Of a job that has not ended.
Status SetPriority(Database& db, JobId id, std::int32_t priority);
Status SetLabels(Database& db, JobId id, const std::map<std::string, std::string>& labels);
/// The first to end first.
Result<std::vector<JobId>> EndedBefore(Database& db, std::int64_t before, std::int64_t limit);
/// All rows that belong to the job, from every table.
Status Delete(Database& db, JobId id);
/// Keeps the failure of the first task that failed.
Status SetFailure(Database& db, JobId id, const domain::Failure& failure);
/// The job has begun, or ends: it is not given up any more.
Status LiftStartLimit(Database& db, JobId id);
/// Ends the job when `state` is final; it has no limit to its start then.
Status Advance(Database& db, JobId id, domain::JobState state, std::int64_t last_event,
               std::int64_t now);
/// Without tasks and outputs.
Result<domain::JobView> ToView(const Row& row);

}  // namespace tyllm::server::store::jobs
