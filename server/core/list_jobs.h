// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/domain/views.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

inline constexpr std::int32_t kLargestPage = 1000;

/// In the order asked for, without tasks. A page token that no page of the same filter and order
/// gave is kInvalidArgument.
boost::asio::awaitable<Result<domain::JobPage>> ListJobs(Farm& farm, domain::JobQuery query);

/// The token of the page that begins after `last`, one of those that `query` found.
std::string PageTokenAfter(const domain::JobQuery& query, const domain::JobView& last);

}  // namespace tyllm::server::core
