// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/domain/views.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

inline constexpr std::int32_t kLargestPage = 1000;

/// In the order asked for, without tasks. A page token that no page of the same filter and order
/// gave is kInvalidArgument.
boost::asio::awaitable<Result<domain::JobPage>> ListJobs(Farm& farm, domain::JobQuery query);

}  // namespace tyllm::server::core
