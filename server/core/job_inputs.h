// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include <boost/asio/awaitable.hpp>

#include "common/domain/validation.h"
#include "server/core/farm.h"
#include "server/core/project_admission.h"
#include "server/core/trees.h"

namespace tyllm::server::core {

/// What was found out about a job's input trees.
struct JobInputs {
  TreeSizes sizes;                        ///< of those that are whole
  std::vector<domain::Problem> problems;  ///< of the others
  bool has_video_file = false;            ///< some video is a file, not a folder of frames
};

/// Looks at every input tree of the request. Errors: only what hinders looking.
boost::asio::awaitable<Result<JobInputs>> CheckInputs(Farm& farm, domain::JobSpec spec);

/// What tasks need of a worker for what their inputs are.
void NeedTools(const JobInputs& inputs, domain::JobPlan& plan);

/// What is wrong with a field.
domain::Problem WrongField(const Status& status);

/// The error that the first problem is, one for want of a worker included; OK without any.
Status StatusOf(const std::vector<domain::Problem>& problems);

}  // namespace tyllm::server::core
