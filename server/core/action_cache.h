// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

/// Queued tasks whose result exists succeed with it, down the graph; a result of which blobs are
/// gone is forgotten, and its task runs. To be called whenever tasks became ready: until then
/// nobody gets such a task.
boost::asio::awaitable<Status> UseCachedResults(Farm& farm);

}  // namespace tyllm::server::core
