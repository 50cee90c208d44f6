// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/domain/project.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

/// As ListProjects, with what a project has used in all, in device-seconds of ended attempts.
struct ProjectStanding {
  domain::ProjectUse use;
  double total_seconds = 0;
};

/// By name.
boost::asio::awaitable<Result<std::vector<ProjectStanding>>> StandingOfProjects(Farm& farm);

/// Who shares the farm and what each gets of it, by name.
boost::asio::awaitable<Result<std::vector<domain::ProjectUse>>> ListProjects(Farm& farm);

/// Makes or changes a project; once for each request id. Jobs that are there stay, whatever the new
/// quotas. The project as it is then. kInvalidArgument names what is wrong; kAborted: it is not any
/// more as it was read.
boost::asio::awaitable<Result<domain::Project>> SetProject(Farm& farm,
                                                           domain::ProjectChange change);

}  // namespace tyllm::server::core
