// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/domain/worker_sync.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

/// Keeps the unfinished work that a worker has uploaded for one of its running attempts, so that
/// another attempt can go on from it. What is known already costs nothing; a tree of which a blob
/// is missing is passed over, since the worker names it again.
boost::asio::awaitable<Status> KeepCheckpoint(Farm& farm, domain::HeldAttempt held);

/// About once an hour: drops those that no task goes on from and that are old.
boost::asio::awaitable<Status> ForgetOldCheckpoints(Farm& farm);

}  // namespace tyllm::server::core
