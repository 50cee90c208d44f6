// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "server/store/database.h"
#include "server/store/queue.h"

// Table jobs.
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
};

Result<JobId> Insert(Database& db, const domain::JobSpec& spec,
                     const std::map<std::string, std::string>& outputs, std::int64_t now);
/// kNotFound when there is no such job.
Result<Row> Get(Database& db, JobId id);
Result<std::vector<Row>> List(Database& db, const JobFilter& filter);
Result<std::map<domain::JobState, std::int64_t>> Count(Database& db);
Status AskCancel(Database& db, JobId id);
/// Keeps the failure of the first task that failed.
Status SetFailure(Database& db, JobId id, const domain::Failure& failure);
/// Ends the job when `state` is final.
Status Advance(Database& db, JobId id, domain::JobState state, std::int64_t last_event,
               std::int64_t now);
/// Without tasks and outputs.
Result<domain::JobView> ToView(const Row& row);

}  // namespace tyllm::server::store::jobs
