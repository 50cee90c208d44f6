// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "server/store/database.h"
#include "server/store/queue.h"

namespace tyllm::server::store {

/// A task with what it was asked to do and how it came by its result.
Result<TaskRecord> RecordOf(Database& db, TaskId task);

}  // namespace tyllm::server::store
