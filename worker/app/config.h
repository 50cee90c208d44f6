// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

namespace tyllm::app {

// The only place of the worker's programs that reads the environment.

/// Empty when it is not set.
std::string EnvironmentVariable(const char* name);
std::optional<std::string> OptionalEnvironmentVariable(const std::string& name);

}  // namespace tyllm::app
