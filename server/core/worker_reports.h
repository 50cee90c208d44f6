// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/domain/worker_sync.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

/// Takes what a worker says of the attempts that it holds: renews leases, notes progress, records
/// outcomes of which every log byte and blob is there, and fences what is not its any more. Gives
/// up attempts of the worker's earlier processes that it does not name. Fills `stop` and
/// `acknowledged` of the reply.
boost::asio::awaitable<Status> TakeReports(Farm& farm, const domain::SyncRequest& request,
                                           domain::SyncReply& reply);

}  // namespace tyllm::server::core
