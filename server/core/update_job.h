// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/domain/job_changes.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

/// Changes priority or labels; the order of the queue follows at once. The priority of a job that
/// has ended is kFailedPrecondition.
boost::asio::awaitable<Result<domain::JobView>> UpdateJob(Farm& farm,
                                                          domain::UpdateRequest request);

}  // namespace tyllm::server::core
