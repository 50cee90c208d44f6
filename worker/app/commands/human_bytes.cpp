// SPDX-License-Identifier: Apache-2.0
#include "worker/app/commands/human_bytes.h"

#include <cstdio>
#include <iterator>
#include <span>

namespace tyllm::app {

namespace {

// `value` with three figures and the largest unit that leaves at least 1.
std::string Scaled(std::int64_t value, std::span<const char* const> units) {
  auto scaled = static_cast<double>(value);
  std::size_t unit = 0;
  while (scaled >= 999.5 && unit + 1 < units.size()) {
    scaled /= 1000.0;
    ++unit;
  }
  const int decimals = unit == 0 || scaled >= 99.95 ? 0 : scaled >= 9.995 ? 1 : 2;
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.*f%s", decimals, scaled, units[unit]);
  return buffer;
}

}  // namespace

std::string HumanBytes(std::int64_t bytes) {
  constexpr const char* kUnits[] = {" bytes", " kB", " MB", " GB", " TB"};
  return Scaled(bytes, kUnits);
}

std::string HumanCount(std::int64_t count) {
  constexpr const char* kUnits[] = {"", " K", " M", " B"};
  return Scaled(count, kUnits);
}

}  // namespace tyllm::app
