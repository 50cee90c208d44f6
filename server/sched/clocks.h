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

}  // namespace tyllm::server::sched
