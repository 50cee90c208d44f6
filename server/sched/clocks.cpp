// SPDX-License-Identifier: Apache-2.0
#include "server/sched/clocks.h"

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

}  // namespace tyllm::server::sched
