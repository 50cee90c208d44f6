// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "server/store/database.h"
#include "server/store/events.h"
#include "server/store/tasks.h"

namespace tyllm::server::store {

/// What a change of a job's tasks leads to, in the same transaction: waiting tasks become ready or
/// are cancelled, the job's state follows, and `drafts` and all this become events.
Status ProgressJob(Database& db, JobId job, std::vector<events::Draft> drafts,
                   std::string_view toolchain_version, std::int64_t now);

/// Trees of a task's inputs by name; those of tasks that have not succeeded are kInternal.
Result<std::map<std::string, BlobId>> ResolveInputs(const std::vector<tasks::Row>& job_tasks,
                                                    const tasks::Row& task);

}  // namespace tyllm::server::store
