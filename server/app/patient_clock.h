// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "common/base/clock.h"
#include "common/base/guarded.h"

namespace tyllm::server::app {

/// Another clock whose wall time may jump, without the jumps: UnixMillis goes on evenly, never
/// back, and follows where the other one has got to by a tenth of the time that passes. So what was
/// noted with it keeps its order, and pauses keep their length, whatever somebody sets the
/// machine's clock to. Threads: any.
class PatientClock final : public Clock {
 public:
  /// `clock` outlives it.
  explicit PatientClock(const Clock& clock) : clock_(clock) {}

  Steady Now() const override { return clock_.Now(); }

  std::int64_t UnixMillis() const override;

 private:
  struct Reading {
    Steady at;
    double unix_ms = 0;
  };

  const Clock& clock_;
  mutable Guarded<std::optional<Reading>> last_;
};

}  // namespace tyllm::server::app
