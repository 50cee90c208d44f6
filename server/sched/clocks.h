// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "common/base/clock.h"
#include "server/sched/ending.h"
#include "server/sched/policy.h"

namespace tyllm::server::sched {

/// When what happened to a running attempt.
struct AttemptTimes {
  Clock::Steady heard;       ///< its worker named it last
  Clock::Steady progressed;  ///< its progress changed last
  Clock::Steady started;
  std::optional<Clock::Steady> stopping;  ///< when it was cancelled

  bool operator==(const AttemptTimes&) const = default;
};

/// Which of the three clocks of its kind ran out, if one did (kStopped: a cancelled attempt had its
/// time). A worker that is gone says nothing about progress, so the lease comes first.
std::optional<Ending> Overdue(const AttemptTimes& times, domain::TaskKind kind, Clock::Steady now,
                              const Policy& policy);

/// For how long the server stood still that looked at `last` and would have looked again a beat
/// later; 0 when it is no later than a busy one is.
Milliseconds StoodStill(Clock::Steady last, Clock::Steady now, const Policy& policy);

/// The clocks, without a time for which nobody could be heard that ended at `now`.
AttemptTimes Without(AttemptTimes times, Milliseconds still, Clock::Steady now);

}  // namespace tyllm::server::sched
