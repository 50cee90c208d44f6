// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/domain/worker_sync.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

/// By name; workers of the past included.
boost::asio::awaitable<Result<std::vector<domain::WorkerView>>> ListWorkers(Farm& farm);

}  // namespace tyllm::server::core
