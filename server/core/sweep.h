// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

/// To be run once before the first call: attempts that were running when the last server stopped
/// get a lease and its grace to report in.
boost::asio::awaitable<Status> Recover(Farm& farm);

/// One look at what time alone changes: leases that ran out, attempts that are stuck or late (the
/// three clocks), retries that are due, jobs that have not begun in the time that they were given.
boost::asio::awaitable<Status> Sweep(Farm& farm);

/// Sweeps every `sweep_interval` until it is cancelled. An error is the store's health and does not
/// end it.
boost::asio::awaitable<void> SweepForever(Farm& farm);

}  // namespace tyllm::server::core
