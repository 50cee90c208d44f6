// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/domain/job_changes.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

/// Asks for the end of a job; idempotent. Running tasks are told to stop with the next answer to
/// their worker, unless another job waits for their result.
boost::asio::awaitable<Result<domain::JobView>> CancelJob(Farm& farm, domain::JobChange change);

}  // namespace tyllm::server::core
