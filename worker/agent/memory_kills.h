// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "worker/agent/kernel_files.h"

namespace tyllm::agent {

/// What the kernel's counters say about processes that it killed because memory ran out.
enum class MemoryEvidence : std::uint8_t {
  kNone,     ///< no such kill
  kMachine,  ///< somewhere on the machine
  kGroup,    ///< in this worker's own control group
};

/// Looks whether the kernel killed for want of memory between two points in time. Version 2 of
/// control groups counts in memory.events, version 1 in memory.oom_control; the whole machine is
/// counted in /proc/vmstat (Linux 4.13 and later). Where there are no counters there is no
/// evidence.
class MemoryKills {
 public:
  /// Counts from now on.
  explicit MemoryKills(const KernelRoots& roots = {});

  MemoryEvidence SinceStart() const;

 private:
  struct Counts {
    std::int64_t group = 0;
    std::int64_t machine = 0;
  };

  Counts Now() const;

  KernelRoots roots_;
  Counts start_;
};

}  // namespace tyllm::agent
