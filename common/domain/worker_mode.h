// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "common/base/enum_table.h"

namespace tyllm::domain {

/// What a person asked of a worker besides its tasks. Stored as the integer.
enum class WorkerMode : std::uint8_t {
  kActive,
  kCordoned,  ///< gets nothing new; what runs goes on; the process stays
  kDraining,  ///< as cordoned, and the process ends when the last task has
  kKilled,    ///< ends its attempts now, hands them back (which costs the tasks nothing) and ends
};

inline constexpr EnumTable<WorkerMode, 4> kWorkerModeNames("worker mode",
                                                           {{{WorkerMode::kActive, "active"},
                                                             {WorkerMode::kCordoned, "cordoned"},
                                                             {WorkerMode::kDraining, "draining"},
                                                             {WorkerMode::kKilled, "killed"}}});

constexpr const auto& NamesOf(WorkerMode) {
  return kWorkerModeNames;
}

/// A mode and why, for people, and who asked for it; workers are not told who.
struct ModeOrder {
  WorkerMode mode = WorkerMode::kActive;
  std::string reason;
  std::string by = {};

  bool operator==(const ModeOrder&) const = default;
};

}  // namespace tyllm::domain
