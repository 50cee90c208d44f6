// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "server/store/database.h"
#include "server/store/queue.h"

namespace tyllm::server::store {

/// A task with what it was asked to do and how it came by its result.
Result<TaskRecord> RecordOf(Database& db, TaskId task);
/// Whose log an attempt's is; 0: the current one's.
Result<LogOwner> LogOwnerOf(Database& db, TaskId task, domain::Attempt attempt);

}  // namespace tyllm::server::store
