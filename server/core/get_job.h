// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/domain/views.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

/// With why its tasks wait. kNotFound when there is no such job.
boost::asio::awaitable<Result<domain::JobView>> GetJob(Farm& farm, domain::JobId job);
/// Without.
boost::asio::awaitable<Result<domain::JobView>> ReadJob(Farm& farm, domain::JobId job);

}  // namespace tyllm::server::core
