// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/domain/validation.h"
#include "common/domain/views.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

/// What of a job is answered.
enum class Show : std::uint8_t { kId, kJob };

/// One of `id`, `validation` and `refused`.
struct Submitted {
  std::optional<domain::JobId> id;
  std::optional<domain::JobView> job;            ///< beside the id, with Show::kJob
  bool already_made = false;                     ///< the job is one that the request made before
  std::optional<domain::Validation> validation;  ///< with validate_only
  std::vector<domain::Problem> refused;          ///< everything that was found wrong
};

/// Queues a job; returns when it is on the disk. A request_id that was used gives the job that it
/// gave first (kAlreadyExists when that was another request).
boost::asio::awaitable<Result<Submitted>> Submit(Farm& farm, domain::SubmitRequest request,
                                                 Show show = Show::kJob);

/// As Submit, with the first of the problems as the error: kInvalidArgument names the field;
/// kResourceExhausted the quota of the project, when it is not the disk that is full;
/// kFailedPrecondition: blobs of an input tree are missing (MISSING_BLOBS), or nobody takes it and
/// the request is not to wait (NO_WORKER).
boost::asio::awaitable<Result<domain::JobView>> SubmitJob(Farm& farm,
                                                          domain::SubmitRequest request);

}  // namespace tyllm::server::core
