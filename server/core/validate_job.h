// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/domain/validation.h"
#include "common/domain/views.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

/// What would become of the job: everything that would refuse it, which results are there, which
/// workers could take its tasks, how long it would wait and run. Queues nothing.
boost::asio::awaitable<Result<domain::Validation>> ValidateJob(Farm& farm,
                                                               domain::SubmitRequest request);

/// What is wrong with the request itself, whatever the farm is like. `text` is its JSON.
std::vector<domain::Problem> ProblemsOf(const domain::JobSpec& spec, std::string_view text,
                                        const Limits& limits);

}  // namespace tyllm::server::core
