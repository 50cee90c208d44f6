// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/domain/job_changes.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

struct Deleted {};

/// Removes a job that has ended, its tasks, events and logs; results stay for other jobs. One that
/// has not ended is kFailedPrecondition.
boost::asio::awaitable<Result<Deleted>> DeleteJob(Farm& farm, domain::JobChange change);

/// Logs of tasks that are gone.
boost::asio::awaitable<void> RemoveLogs(Farm& farm, std::vector<domain::TaskId> tasks);

}  // namespace tyllm::server::core
