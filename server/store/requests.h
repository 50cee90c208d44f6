// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "server/store/database.h"
#include "server/store/queue.h"

// Table requests: which job a submission made, so that repeating it makes no second one.
namespace tyllm::server::store::requests {

Result<std::optional<JobId>> Find(Database& db, const std::string& request_id);
Status Insert(Database& db, const std::string& request_id, JobId job, std::int64_t now);

}  // namespace tyllm::server::store::requests
