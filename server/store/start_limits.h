// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "server/store/ground.h"

// Jobs that are given up unless they begin in time (docs/adr/0158-a-job-need-not-wait-for-ever.md).
// Operations of Queue.
namespace tyllm::server::store {

Result<std::vector<JobId>> Unstarted(Database& db, std::int64_t now, std::int64_t created_from,
                                     std::int64_t limit);

Result<bool> GiveUp(const Ground& ground, JobId job, const domain::Failure& failure,
                    std::int64_t now);

/// Of jobs that were queued by a clock that was ahead: they have all their time from `now` on.
Status CorrectStartLimits(Database& db, std::int64_t now);

}  // namespace tyllm::server::store
