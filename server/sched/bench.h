// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/domain/ids.h"
#include "server/sched/policy.h"

namespace tyllm::server::sched {

/// What a worker's own machine has spoilt in a row: since an attempt last succeeded there.
struct Trouble {
  std::vector<domain::TaskId> tasks;  ///< until it was benched, each once
  int failures = 0;                   ///< of those tasks, and of every one that it then had to try
  std::string reason;                 ///< of the last one, as in domain::Failure
  Clock::Steady last;                 ///< when that was

  bool operator==(const Trouble&) const = default;
};

/// An attempt failed by the worker's machine (FailureClass::kMachine). Another failure of a task
/// that counts says no more of the machine; nor do attempts that began before it was benched. What
/// lies further back than policy.bench_memory is forgotten.
void NoteMachineFailure(Trouble& trouble, domain::TaskId task, const std::string& reason,
                        Clock::Steady now, const Policy& policy);

/// Whether so much was spoilt that the worker gets no more than one task at a time, to try it,
/// until one succeeds.
bool IsBenched(const Trouble& trouble, const Policy& policy);

/// From when a benched worker gets the next one: after the last failure policy.bench, and twice as
/// long after every one more, but never longer than policy.longest_bench.
Clock::Steady BenchedUntil(const Trouble& trouble, const Policy& policy);

/// How many tasks a worker may be given that has so many free slots.
int FreeOnTrial(const Trouble& trouble, int free_slots, bool holds_none, Clock::Steady now,
                const Policy& policy);

}  // namespace tyllm::server::sched
