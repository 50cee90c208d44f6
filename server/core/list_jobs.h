// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/domain/views.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

/// Newest first, without tasks. A page token that no page gave is kInvalidArgument.
boost::asio::awaitable<Result<domain::JobPage>> ListJobs(Farm& farm, domain::JobQuery query);

}  // namespace tyllm::server::core
