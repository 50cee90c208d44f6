// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/domain/views.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

/// Says of every task of the job that has not begun why (sched::ExplainPending).
boost::asio::awaitable<Status> AddPending(Farm& farm, domain::JobView& job);

/// Workers that are there while none of them can take some task of such a job; empty when there
/// are some that can, or nobody at all: GetJob says that.
std::vector<sched::Online> NobodyFor(Farm& farm, const domain::JobSpec& spec,
                                     const domain::JobPlan& plan);

/// Why tasks of a new job of this plan will wait for a worker that can take them, by label; of
/// those that `online` can take nothing.
std::map<std::string, domain::Pending> WhatNobodyCan(const domain::JobSpec& spec,
                                                     const domain::JobPlan& plan,
                                                     const std::vector<sched::Online>& online,
                                                     std::int64_t now);

/// Queued tasks that are due and that no worker that is there can take.
boost::asio::awaitable<Result<std::int64_t>> CountUnsatisfiable(Farm& farm);

}  // namespace tyllm::server::core
