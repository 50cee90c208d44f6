// SPDX-License-Identifier: Apache-2.0
#include "server/sched/bench.h"

#include <algorithm>

namespace tyllm::server::sched {

void NoteMachineFailure(Trouble& trouble, domain::TaskId task, const std::string& reason,
                        Clock::Steady now, const Policy& policy) {
  if (trouble.failures > 0 && now - trouble.last > policy.bench_memory) {
    trouble = {};
  }
  if (IsBenched(trouble, policy)) {
    if (now < BenchedUntil(trouble, policy)) {
      return;
    }
  } else if (std::ranges::find(trouble.tasks, task) == trouble.tasks.end()) {
    trouble.tasks.push_back(task);
  } else {
    return;
  }
  ++trouble.failures;
  trouble.reason = reason;
  trouble.last = now;
}

bool IsBenched(const Trouble& trouble, const Policy& policy) {
  return policy.bench_failures > 0 && trouble.failures >= policy.bench_failures;
}

Clock::Steady BenchedUntil(const Trouble& trouble, const Policy& policy) {
  Milliseconds pause = policy.bench;
  for (int i = policy.bench_failures; i < trouble.failures && pause < policy.longest_bench; ++i) {
    pause *= 2;
  }
  return trouble.last + std::min(pause, policy.longest_bench);
}

int FreeOnTrial(const Trouble& trouble, int free_slots, bool holds_none, Clock::Steady now,
                const Policy& policy) {
  if (!IsBenched(trouble, policy)) {
    return free_slots;
  }
  const bool may_try = holds_none && now >= BenchedUntil(trouble, policy);
  return may_try ? std::min(free_slots, 1) : 0;
}

}  // namespace tyllm::server::sched
