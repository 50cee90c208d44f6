// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "server/store/ground.h"
#include "server/store/queue.h"

// Table requests: what calls with a request id did, so that repeating one does nothing.
namespace tyllm::server::store::requests {

Result<std::optional<AnsweredRequest>> Find(const Ground& ground, const std::string& request_id);
Status Insert(const Ground& ground, const std::string& request_id, const AnsweredRequest& answered,
              std::int64_t now);
/// The first ones, up to one that is not older than `before`.
Result<std::int64_t> RemoveOld(const Ground& ground, std::int64_t before, std::int64_t limit);
/// What was answered later than `now`, by a clock that was ahead, was answered now.
Status CorrectTimes(Database& db, std::int64_t now);

}  // namespace tyllm::server::store::requests
