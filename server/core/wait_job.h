// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/domain/job_changes.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

/// The longest that a call is held.
inline constexpr Milliseconds kLongestJobWait = std::chrono::seconds(60);

/// The job as soon as it has ended or has an event after the one named, else when the time is over.
boost::asio::awaitable<Result<domain::JobView>> WaitJob(Farm& farm, domain::WaitRequest request);

}  // namespace tyllm::server::core
