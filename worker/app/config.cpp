// SPDX-License-Identifier: Apache-2.0
#include "worker/app/config.h"

#include <cstdlib>

namespace tyllm::app {

std::string EnvironmentVariable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace tyllm::app
