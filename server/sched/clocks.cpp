// SPDX-License-Identifier: Apache-2.0
#include "server/sched/clocks.h"

#include <algorithm>

namespace tyllm::server::sched {

std::optional<Ending> Overdue(const AttemptTimes& times, domain::TaskKind kind, Clock::Steady now,
                              const Policy& policy) {
  const Clocks clocks = policy.ClocksOf(kind);
  if (now - times.heard > clocks.lease + policy.lease_grace) {
    return Ending::kLeaseLost;
  }
  if (times.stopping) {
    return now - *times.stopping > policy.stop ? std::optional(Ending::kStopped) : std::nullopt;
  }
  if (now - times.started > clocks.deadline) {
    return Ending::kDeadline;
  }
  if (now - times.progressed > clocks.stall) {
    return Ending::kStalled;
  }
  return std::nullopt;
}

Milliseconds StoodStill(Clock::Steady last, Clock::Steady now, const Policy& policy) {
  const auto late = std::chrono::duration_cast<Milliseconds>(now - last - policy.beat);
  // With short leases less is too much.
  const Milliseconds most = std::min(policy.standstill, (policy.lease + policy.lease_grace) / 2);
  return late > most ? late : Milliseconds(0);
}

AttemptTimes Without(AttemptTimes times, Milliseconds still, Clock::Steady now) {
  // What was noted after that is not of the future.
  const auto later = [&](Clock::Steady time) { return std::min(now, time + still); };
  times.heard = later(times.heard);
  times.progressed = later(times.progressed);
  times.started = later(times.started);
  if (times.stopping) {
    times.stopping = later(*times.stopping);
  }
  return times;
}

}  // namespace tyllm::server::sched
