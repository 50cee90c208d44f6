// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/domain/worker_sync.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

/// Gives the worker nothing new; what runs goes on. Undone with `drain` = false. kNotFound for a
/// worker that never called.
boost::asio::awaitable<Status> DrainWorker(Farm& farm, std::string worker, bool drain);

}  // namespace tyllm::server::core
