// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

/// Ends jobs of which no task has begun by the time that they were given for it: failed, reason
/// NOT_STARTED, with what they waited for last. After the server has begun, or stood still, those
/// that were there before have some time more, until workers can have called again.
boost::asio::awaitable<Status> GiveUpUnstarted(Farm& farm);

}  // namespace tyllm::server::core
