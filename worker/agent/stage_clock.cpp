// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/stage_clock.h"

#include <algorithm>
#include <chrono>

namespace tyllm::agent {

void StageClock::Tell(std::string_view stage, Clock::Steady now) {
  if (stage == stage_) {
    return;
  }
  End(now);
  stage_ = stage;
  since_ = now;
}

void StageClock::End(Clock::Steady now) {
  if (stage_.empty()) {
    return;
  }
  auto it = std::find_if(times_.begin(), times_.end(),
                         [&](const domain::StageTime& time) { return time.stage == stage_; });
  if (it == times_.end()) {
    it = times_.insert(times_.end(), {stage_, 0});
  }
  it->ms += std::chrono::duration_cast<Milliseconds>(now - since_).count();
  stage_.clear();
}

}  // namespace tyllm::agent
