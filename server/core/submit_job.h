// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/domain/views.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

/// Queues a job; returns when it is on the disk. A request_id that was used gives the job that it
/// gave first (kAlreadyExists when that was another request). kInvalidArgument names the field;
/// kResourceExhausted the quota of the project, when it is not the disk that is full;
/// kFailedPrecondition means only one thing: blobs of an input tree are missing (MISSING_BLOBS).
boost::asio::awaitable<Result<domain::JobView>> SubmitJob(Farm& farm,
                                                          domain::SubmitRequest request);

}  // namespace tyllm::server::core
