// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

struct WorkerToForget {
  std::string worker;
  std::string request_id = {};  ///< optional
  std::string by = {};          ///< who asks; may be empty
};

struct Forgotten {};

/// Removes what is known of a worker; when it calls again it is a new one, which nobody has
/// cordoned. kFailedPrecondition while it is there or holds tasks, kNotFound when it never called.
boost::asio::awaitable<Result<Forgotten>> ForgetWorker(Farm& farm, WorkerToForget which);

/// Those that were not seen for Limits::worker_keep and hold nothing.
boost::asio::awaitable<Status> ForgetOldWorkers(Farm& farm);

}  // namespace tyllm::server::core
