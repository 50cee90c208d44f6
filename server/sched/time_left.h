// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "common/base/clock.h"
#include "common/domain/progress.h"

namespace tyllm::server::sched {

/// How fast a running attempt goes through its stage.
struct Pace {
  Clock::Steady since;    ///< when it was first heard in the stage
  std::int64_t from = 0;  ///< how far it was then

  bool operator==(const Pace&) const = default;
};

/// What the stage still takes at the pace that it had; nothing while that cannot be told. `heard`
/// is when the progress changed last.
std::optional<std::int64_t> StageLeft(const domain::Progress& progress, const Pace& pace,
                                      Clock::Steady heard, Clock::Steady now);

/// What a task that has run for so long still takes, in milliseconds. Tasks like it say how long it
/// takes in all, its own progress at least how long its stage does; nothing when the first is not
/// known, or is over and the second is not known.
std::optional<std::int64_t> TimeLeft(std::optional<std::int64_t> usual_run_ms, std::int64_t ran_ms,
                                     std::optional<std::int64_t> stage_left_ms);

}  // namespace tyllm::server::sched
