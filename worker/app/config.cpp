// SPDX-License-Identifier: Apache-2.0
#include "worker/app/config.h"

#include <cstdlib>

namespace tyllm::app {

std::string EnvironmentVariable(const char* name) {
  return OptionalEnvironmentVariable(name).value_or("");
}

std::optional<std::string> OptionalEnvironmentVariable(const std::string& name) {
  const char* const value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

}  // namespace tyllm::app
