// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/domain/explanation.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

/// Why a job waits or failed: what each task takes and from where, its cache key and what came of
/// it, every attempt, what the scheduler decided.
boost::asio::awaitable<Result<domain::JobExplanation>> ExplainJob(Farm& farm, domain::JobId job);

/// What one task was asked to do.
boost::asio::awaitable<Result<domain::TaskDetail>> GetTask(Farm& farm, domain::TaskId task);

}  // namespace tyllm::server::core
