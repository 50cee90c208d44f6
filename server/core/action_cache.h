// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

/// Queued tasks whose result exists succeed with it, down the graph, many in a transaction; a
/// result of which blobs are gone is forgotten, and its tasks run. One that cannot be read keeps no
/// other from being used: it is tried again later, and forgotten after a few times
/// (UnreadResults). Until then nobody gets such a task.
boost::asio::awaitable<Status> UseCachedResults(Farm& farm);

/// The same of one job's tasks: for who answers with that job.
boost::asio::awaitable<Status> UseResultsOf(Farm& farm, domain::JobId job);

/// UseCachedResults whenever Topic::Results is told of, and every `sweep_interval`, until it is
/// cancelled.
boost::asio::awaitable<void> UseCachedResultsForever(Farm& farm);

}  // namespace tyllm::server::core
