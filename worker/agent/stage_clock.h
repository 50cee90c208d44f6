// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/domain/stages.h"

namespace tyllm::agent {

/// How long an attempt is in each stage. A stage lasts until another is told; one that comes again
/// goes on. Not for several threads at once.
class StageClock {
 public:
  /// The attempt is in this stage now.
  void Tell(std::string_view stage, Clock::Steady now);
  /// In none any more.
  void End(Clock::Steady now);

  /// Of the stages that were ended, in the order in which they first came.
  const std::vector<domain::StageTime>& times() const { return times_; }

 private:
  std::vector<domain::StageTime> times_;
  std::string stage_;  ///< empty: none
  Clock::Steady since_{};
};

}  // namespace tyllm::agent
