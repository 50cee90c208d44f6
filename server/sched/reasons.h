// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "common/domain/ids.h"
#include "server/sched/fair_order.h"

namespace tyllm::server::sched {

/// Why a task was given to a worker when it was.
struct Reasons {
  std::int64_t lane = 0;          ///< where it was next; 0: nobody said why
  std::int64_t charge = 0;        ///< device-seconds that its project had had, by its weight
  std::int64_t waited_ms = 0;     ///< since it was due
  std::int64_t inputs = 0;        ///< trees that it reads
  std::int64_t inputs_there = 0;  ///< of them in the worker's cache
  std::int64_t others = 0;        ///< workers that were online besides
  bool goes_on = false;           ///< from unfinished work
};

/// For whoever asks why it ran there and then. `lane` is what tasks of why.lane have in common.
std::string TextOf(const Reasons& why, domain::Attempt attempt, const std::string& worker,
                   const LaneKey& lane);

}  // namespace tyllm::server::sched
