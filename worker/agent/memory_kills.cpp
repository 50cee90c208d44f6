// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/memory_kills.h"

namespace tyllm::agent {

MemoryKills::MemoryKills(const KernelRoots& roots) : roots_(roots), start_(Now()) {}

MemoryKills::Counts MemoryKills::Now() const {
  Counts counts;
  // The innermost group counts what happens in it and below.
  const std::vector<Path> groups = MemoryGroups(roots_);
  if (!groups.empty()) {
    const auto v2 = NumberIn(groups.front() / "memory.events", "oom_kill");
    counts.group =
        v2.value_or(NumberIn(groups.front() / "memory.oom_control", "oom_kill").value_or(0));
  }
  counts.machine = NumberIn(roots_.proc / "vmstat", "oom_kill").value_or(0);
  return counts;
}

MemoryEvidence MemoryKills::SinceStart() const {
  const Counts now = Now();
  if (now.group > start_.group) {
    return MemoryEvidence::kGroup;
  }
  return now.machine > start_.machine ? MemoryEvidence::kMachine : MemoryEvidence::kNone;
}

}  // namespace tyllm::agent
