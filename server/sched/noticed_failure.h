// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/domain/failure.h"
#include "server/sched/retry.h"

namespace tyllm::server::sched {

/// The failure of an attempt, complete: what the worker reported, or what the server noticed in
/// words; where it happened, and what to do when nobody has said it yet.
domain::Failure DescribeFailure(const EndedAttempt& ended, const Policy& policy);

}  // namespace tyllm::server::sched
