// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>

#include "common/base/clock.h"

namespace tyllm::quant {

/// Adds the time from its making to its end to a number of seconds.
class Stopwatch {
 public:
  Stopwatch(const Clock& clock, double& seconds)
      : clock_(clock), seconds_(seconds), start_(clock.Now()) {}

  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

  ~Stopwatch() { seconds_ += std::chrono::duration<double>(clock_.Now() - start_).count(); }

 private:
  const Clock& clock_;
  double& seconds_;
  Clock::Steady start_;
};

}  // namespace tyllm::quant
