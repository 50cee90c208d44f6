// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "server/store/database.h"
#include "server/store/queue.h"

// Tables actions and checkpoints, by who made what is in them.
namespace tyllm::server::store::made_results {

struct Found {
  ResultsLookedAt looked_at;
  std::vector<Sha256> keys;  ///< of the results that fit
};

/// Queue::LookAtResults.
Result<Found> Results(Database& db, const domain::ResultSelection& which, std::int64_t after,
                      std::int64_t limit);
/// Keys of unfinished work for which an attempt worked that fits, in all.
Result<std::vector<Sha256>> Unfinished(Database& db, const domain::ResultSelection& which);

}  // namespace tyllm::server::store::made_results
