// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace tyllm::app {

/// Empty when it is not set. The only place of the worker's programs that reads the environment.
std::string EnvironmentVariable(const char* name);

}  // namespace tyllm::app
