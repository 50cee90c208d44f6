// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "server/store/database.h"
#include "server/store/queue.h"

// Tables workers and sessions.
namespace tyllm::server::store::workers {

/// kAborted for a session that a later one of the worker's name has replaced.
Status CheckNotReplaced(Database& db, const WorkerSession& worker);
/// `rate`: device-seconds that a second of it costs.
Status StartSession(Database& db, const WorkerSession& worker,
                    const domain::Capabilities& capabilities, std::int64_t now, double rate);
Result<std::vector<WorkerRecord>> List(Database& db);
/// It holds nothing. kNotFound when it never called.
Status Forget(Database& db, const std::string& worker);
Status SetMode(Database& db, const std::string& worker, const domain::ModeOrder& order);

}  // namespace tyllm::server::store::workers
