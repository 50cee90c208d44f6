// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "server/store/database.h"
#include "server/store/queue.h"

// Table job_events, append-only: numbers rise by 1 within a job.
namespace tyllm::server::store::events {

/// What is told of a change, before it has a number.
struct Draft {
  std::string text;
  std::optional<TaskId> task;
  domain::TaskState task_state = domain::TaskState::kWaiting;
  domain::Attempt attempt = 0;
  std::optional<std::int64_t> caller = {};  ///< who asked for it (table callers)
};

Status Insert(Database& db, JobId job, std::int64_t number, const Draft& draft,
              domain::JobState job_state, std::int64_t now);
Result<std::vector<domain::JobEvent>> After(Database& db, JobId job, std::int64_t after,
                                            std::int64_t limit);

}  // namespace tyllm::server::store::events
