// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/domain/views.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

/// Idempotent; a job that has ended stays as it is. Tasks that run are told to stop, and the job is
/// kCancelled when they have (or when their leases ran out). An attempt whose result another job
/// waits for is not stopped: it becomes that job's.
boost::asio::awaitable<Result<domain::JobView>> CancelJob(Farm& farm, domain::JobId job);

}  // namespace tyllm::server::core
