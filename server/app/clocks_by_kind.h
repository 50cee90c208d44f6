// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>

#include "common/base/result.h"
#include "server/app/config.h"
#include "server/sched/policy.h"

namespace tyllm::server::app {

/// Clocks of kinds of tasks that differ from the usual, from the settings lease.by_kind,
/// attempt.stall_by_kind and attempt.deadline_by_kind. kInvalidArgument names the setting and what
/// is wrong in it.
Result<std::map<domain::TaskKind, sched::OwnClocks>> ClocksByKind(const ServerConfig& config);

}  // namespace tyllm::server::app
