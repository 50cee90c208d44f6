// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "common/domain/explanation.h"
#include "common/domain/validation.h"

namespace tyllm::client {

/// For people.
std::string Describe(const domain::JobExplanation& explanation);
std::string Describe(const domain::Validation& validation);

}  // namespace tyllm::client
