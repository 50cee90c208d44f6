// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "common/domain/explanation.h"

namespace tyllm::server::sched {

/// The worker of every attempt that its worker's own machine failed (FailureClass::kMachine).
std::vector<std::string> SpoiltBy(std::span<const domain::AttemptRecord> attempts);

/// The workers of the last `losses` attempts, oldest first, that were lost: those that count.
std::vector<std::string> LostBy(std::span<const domain::AttemptRecord> attempts, int losses);

}  // namespace tyllm::server::sched
