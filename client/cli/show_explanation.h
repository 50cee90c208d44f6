// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "common/domain/explanation.h"
#include "common/domain/validation.h"

namespace tyllm::client {

/// For people.
std::string Describe(const domain::JobExplanation& explanation);
std::string Describe(const domain::Validation& validation);
/// Of tasks that no worker can take, a line each: such a job is accepted, and waits for one that
/// can.
std::string WarningOf(const domain::JobView& job);

}  // namespace tyllm::client
