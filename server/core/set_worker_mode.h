// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/domain/worker_sync.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

struct WorkerOrder {
  std::string worker;
  domain::ModeOrder order;      ///< a reason of at most 256 bytes
  std::string request_id = {};  ///< a repetition changes nothing
};

/// Cordons, drains or kills a worker, or takes that back. The worker learns it with its next call,
/// which a waiting one gets at once. kNotFound for a worker that never called.
boost::asio::awaitable<Result<domain::WorkerView>> SetWorkerMode(Farm& farm, WorkerOrder order);

}  // namespace tyllm::server::core
