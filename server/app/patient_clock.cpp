// SPDX-License-Identifier: Apache-2.0
#include "server/app/patient_clock.h"

#include <algorithm>
#include <cmath>

namespace tyllm::server::app {

namespace {

constexpr double kFollow = 0.1;

}  // namespace

std::int64_t PatientClock::UnixMillis() const {
  auto last = last_.Lock();
  const Steady now = clock_.Now();
  const auto machine = static_cast<double>(clock_.UnixMillis());
  if (!*last) {
    *last = Reading{now, machine};
    return static_cast<std::int64_t>(machine);
  }
  Reading& reading = **last;
  const double passed =
      std::max(0.0, std::chrono::duration<double, std::milli>(now - reading.at).count());
  const double expected = reading.unix_ms + passed;
  const double follow = kFollow * passed;
  reading = {std::max(now, reading.at), expected + std::clamp(machine - expected, -follow, follow)};
  return std::llround(reading.unix_ms);
}

}  // namespace tyllm::server::app
