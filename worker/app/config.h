// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

namespace tyllm::app {

// The only place of the worker's programs that reads the environment.

/// How the vendor's Python starts: a worker sets it for the jobs that it runs, from
/// tytvm.command of its configuration.
inline constexpr const char* kVendorCommandVariable = "TYLLM_TYTVM_COMMAND";

/// Empty when it is not set.
std::string EnvironmentVariable(const char* name);
std::optional<std::string> OptionalEnvironmentVariable(const std::string& name);

}  // namespace tyllm::app
