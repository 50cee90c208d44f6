// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/domain/worker_sync.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

/// The one call of a worker (WorkerService.Sync): idempotent, states what is and learns what should
/// be. Held up to `wait_ms` when the worker has free slots and nothing is to do. kAborted: another
/// process of that worker name has taken this session's place; end, or start a new session.
boost::asio::awaitable<Result<domain::SyncReply>> SyncWorker(Farm& farm,
                                                             domain::SyncRequest request);

}  // namespace tyllm::server::core
