// SPDX-License-Identifier: Apache-2.0
#include "server/sched/time_left.h"

#include <algorithm>
#include <cmath>

namespace tyllm::server::sched {

std::optional<std::int64_t> StageLeft(const domain::Progress& progress, const Pace& pace,
                                      Clock::Steady heard, Clock::Steady now) {
  const auto milliseconds = [](Clock::Steady::duration time) {
    return std::chrono::duration<double, std::milli>(time).count();
  };
  if (progress.total <= 0 || progress.done <= pace.from || heard <= pace.since) {
    return std::nullopt;
  }
  const double each =
      milliseconds(heard - pace.since) / static_cast<double>(progress.done - pace.from);
  const double todo =
      static_cast<double>(std::max<std::int64_t>(0, progress.total - progress.done));
  return std::llround(std::max(0.0, each * todo - milliseconds(now - heard)));
}

std::optional<std::int64_t> TimeLeft(std::optional<std::int64_t> usual_run_ms, std::int64_t ran_ms,
                                     std::optional<std::int64_t> stage_left_ms) {
  if (!usual_run_ms) {
    return std::nullopt;
  }
  const std::int64_t left = *usual_run_ms - ran_ms;
  if (stage_left_ms) {
    return std::max(left, *stage_left_ms);
  }
  return left > 0 ? std::optional(left) : std::nullopt;
}

}  // namespace tyllm::server::sched
