// SPDX-License-Identifier: Apache-2.0
#include "common/base/free_memory.h"

#include <cstdlib>
#include <fstream>
#include <string>

namespace tyllm {

std::optional<std::int64_t> FreeMemory() {
  constexpr std::int64_t kKib = 1024;
  std::ifstream in("/proc/meminfo");
  for (std::string name, rest; in >> name && std::getline(in, rest);) {
    if (name == "MemAvailable:") {
      return std::strtoll(rest.c_str(), nullptr, 10) * kKib;
    }
  }
  return std::nullopt;
}

}  // namespace tyllm
