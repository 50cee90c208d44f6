// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/domain/job.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

/// Chooses what is to make the programs of a job that begins: of the workers that take work now,
/// else of those that are there, else of those that are remembered; `rather` where one of them has
/// it. None has any: it is chosen later (MendCompilers).
boost::asio::awaitable<Status> ChooseCompiler(Farm& farm, const domain::JobSpec& spec,
                                              domain::JobPlan& plan, std::string rather = {});

/// Looks at queued tasks that no worker has the compiler for, while somebody has another that would
/// do. Their jobs get that one where nothing is made with the first yet; where something is, they
/// wait for it for policy.compiler_wait and then fail: programs of two compilers do not go
/// together.
boost::asio::awaitable<Status> MendCompilers(Farm& farm);

}  // namespace tyllm::server::core
