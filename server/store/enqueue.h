// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "server/store/ground.h"
#include "server/store/queue.h"

// How jobs come, change places and go.
namespace tyllm::server::store {

Result<JobId> Enqueue(const Ground& ground, const NewJob& job, std::int64_t now);
/// The job as ViewOf gives it.
Result<domain::JobView> EnqueueAndShow(const Ground& ground, const NewJob& job, std::int64_t now);
/// kFailedPrecondition when it has ended.
Status SetPriority(const Ground& ground, JobId job, std::int32_t priority);
/// An event of its own. kFailedPrecondition when it has ended.
Status NoteChange(const Ground& ground, JobId job, const std::string& text, const std::string& by,
                  std::int64_t now);
/// The tasks that went with it.
Result<std::vector<TaskId>> DeleteJob(const Ground& ground, JobId job);

}  // namespace tyllm::server::store
