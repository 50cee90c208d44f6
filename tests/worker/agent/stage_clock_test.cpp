// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/stage_clock.h"

#include <gtest/gtest.h>

namespace tyllm::agent {
namespace {

using domain::StageTime;
using std::chrono::seconds;

TEST(StageClock, AStageLastsUntilAnotherIsTold) {
  ManualClock clock;
  StageClock stages;
  stages.Tell("fetch", clock.Now());
  clock.Advance(seconds(2));
  stages.Tell("fetch", clock.Now());
  clock.Advance(seconds(3));
  EXPECT_TRUE(stages.times().empty()) << "it is still in it";
  stages.Tell("upload", clock.Now());
  clock.Advance(seconds(1));
  stages.End(clock.Now());
  EXPECT_EQ(stages.times(), (std::vector<StageTime>{{"fetch", 5000}, {"upload", 1000}}));
}

TEST(StageClock, AStageThatComesAgainIsOne) {
  ManualClock clock;
  StageClock stages;
  for (int layer = 0; layer < 3; ++layer) {
    stages.Tell("calibrate", clock.Now());
    clock.Advance(seconds(10));
    stages.Tell("quantize", clock.Now());
    clock.Advance(seconds(1));
  }
  stages.End(clock.Now());
  stages.End(clock.Now());
  EXPECT_EQ(stages.times(), (std::vector<StageTime>{{"calibrate", 30'000}, {"quantize", 3000}}));
}

TEST(StageClock, TimeBeforeTheFirstStageIsNobodys) {
  ManualClock clock;
  StageClock stages;
  clock.Advance(seconds(9));
  stages.Tell("", clock.Now());
  clock.Advance(seconds(9));
  stages.Tell("check", clock.Now());
  stages.End(clock.Now());
  EXPECT_EQ(stages.times(), (std::vector<StageTime>{{"check", 0}}));
}

}  // namespace
}  // namespace tyllm::agent
