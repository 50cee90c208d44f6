// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "server/sched/fair_order.h"
#include "server/store/database.h"
#include "server/store/queue.h"

// Table lanes: what queued tasks are told apart by. Rows are made when they are first needed and
// stay.
namespace tyllm::server::store::lanes {

/// Of a task of a new job.
sched::LaneKey KeyOf(const domain::JobSpec& job, const domain::PlannedTask& task);
Result<std::int64_t> FindOrMake(Database& db, const sched::LaneKey& key);
Result<sched::LaneKey> Get(Database& db, std::int64_t lane);
Result<sched::LaneKey> Of(Database& db, TaskId task);
Result<std::string> ProjectOf(Database& db, std::int64_t lane);
/// Lanes with a task that is due, by number, each with its oldest due task.
Result<std::vector<sched::Lane>> Waiting(Database& db, std::int64_t now);
/// Queued tasks of the lane of jobs before `before`; counts no further than `limit`.
Result<std::int64_t> CountBefore(Database& db, std::int64_t lane, JobId before, std::int64_t limit);
/// The tasks of a job that have not ended go to lanes of this priority.
Status MoveJob(Database& db, JobId job, std::int32_t priority);
/// The task, held at present, will wait on a GPU with at least this much memory.
Status AskForGpuMemory(Database& db, TaskId task, std::int64_t bytes);

}  // namespace tyllm::server::store::lanes
