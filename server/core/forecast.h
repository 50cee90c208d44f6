// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "common/domain/job.h"

namespace tyllm::server::core {

/// Milliseconds until everything of the plan is done when every task begins as soon as its inputs
/// are there. `left` says for a task's label how long it will still take; -1, not known, makes the
/// whole -1.
std::int64_t LongestPath(const domain::JobPlan& plan,
                         const std::function<std::int64_t(const std::string&)>& left);

}  // namespace tyllm::server::core
