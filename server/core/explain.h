// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/domain/views.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

/// Says of every task of the job that has not begun why (sched::ExplainPending).
boost::asio::awaitable<Status> AddPending(Farm& farm, domain::JobView& job);

/// A job that was queued just now: makes it an event when a task of it is one that no worker that
/// is there can take. Nothing while no worker is there at all: GetJob says that. True when there
/// was something to tell.
boost::asio::awaitable<Result<bool>> TellIfNobodyCan(Farm& farm, domain::JobId job,
                                                     const domain::JobSpec& spec);

/// Queued tasks that are due and that no worker that is there can take.
boost::asio::awaitable<Result<std::int64_t>> CountUnsatisfiable(Farm& farm);

}  // namespace tyllm::server::core
