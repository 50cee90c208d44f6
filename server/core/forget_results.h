// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/domain/results.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

/// Forgets results and unfinished work that fit, or counts them. Many transactions: one that breaks
/// off has forgotten some, and the same request goes on. kInvalidArgument when nothing is selected.
boost::asio::awaitable<Result<domain::ForgottenResults>> ForgetResults(
    Farm& farm, domain::ForgetRequest request);

}  // namespace tyllm::server::core
