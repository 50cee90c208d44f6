// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "server/store/database.h"
#include "server/store/queue.h"

// Table decisions: what the scheduler decided about a task; the last hundred.
namespace tyllm::server::store::decisions {

Status Insert(Database& db, TaskId task, const std::string& text, std::int64_t now);
/// Oldest first.
Result<std::vector<domain::Decision>> Of(Database& db, TaskId task);

}  // namespace tyllm::server::store::decisions
