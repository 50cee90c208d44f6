// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/domain/job_changes.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

/// A new job that does what is left of one that failed or was cancelled: tasks that had succeeded,
/// and whose outputs are still there, keep them. Another job is kFailedPrecondition.
boost::asio::awaitable<Result<domain::JobView>> RetryJob(Farm& farm, domain::RetryRequest request);

}  // namespace tyllm::server::core
