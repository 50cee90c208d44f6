// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "server/store/database.h"
#include "server/store/queue.h"

namespace tyllm::server::store {

/// Tasks of a job that have not begun, in plan order.
Result<std::vector<PendingRecord>> PendingOf(Database& db, JobId job);

/// Of Queue::CorrectTimes: what was queued.
Status CorrectQueuedTimes(Database& db, std::int64_t now);

}  // namespace tyllm::server::store
