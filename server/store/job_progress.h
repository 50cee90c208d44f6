// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "server/sched/settle.h"
#include "server/store/events.h"
#include "server/store/ground.h"
#include "server/store/tasks.h"

namespace tyllm::server::store {

/// What a change of a job's tasks leads to, in the same transaction: waiting tasks become ready or
/// are cancelled, the job's state follows, and `drafts` and all this become events.
Status ProgressJob(const Ground& ground, JobId job, std::vector<events::Draft> drafts,
                   std::int64_t now);
/// For who has read the job's tasks: `rows` are all of them as they stand after the change, and
/// then as they stand after what it led to.
Status ProgressJob(const Ground& ground, std::vector<tasks::Row>& rows,
                   std::vector<events::Draft> drafts, std::int64_t now);

/// Of each task of a job; of those that do not wait it may be left out.
using AllInputs = std::vector<std::vector<domain::TaskInput>>;

/// What follows for the tasks of a job that wait.
std::vector<sched::Step> StepsFor(const std::vector<tasks::Row>& rows, const AllInputs& inputs);
/// Somebody has worked on it, or it was given a result.
bool HasBegun(const tasks::Row& row);
domain::JobState StateOf(const std::vector<tasks::Row>& rows, bool cancel_asked);
/// That the step was taken, which the row says already.
events::Draft Tell(const tasks::Row& row, domain::TaskEvent step);
/// That the job has ended.
events::Draft TellEnd(domain::JobState state);

/// Trees of a task's inputs by name; those of tasks that have not succeeded are kInternal.
Result<std::map<std::string, BlobId>> ResolveInputs(const std::vector<tasks::Row>& job_tasks,
                                                    TaskId task,
                                                    const std::vector<domain::TaskInput>& inputs);

}  // namespace tyllm::server::store
