// SPDX-License-Identifier: Apache-2.0
#include "server/core/stand_still.h"

#include "server/core/list_workers.h"
#include "tests/server/core/gpu_farm.h"

// A server that was stopped blames nobody for the time in which it heard nobody.
namespace tyllm::server::core {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

class StandStill : public GpuFarm {
 protected:
  StandStill() { farm_->awake = clock_.Now(); }

  /// The server runs for so long.
  void RunFor(seconds time) {
    for (seconds passed{0}; passed < time; passed += seconds(1)) {
      Advance(seconds(1));
      NoteAwake(*farm_);
    }
    ASSERT_TRUE(Sweep().ok());
  }

  void Freeze(seconds time) { Advance(time); }

  SyncRequest Holding(const AttemptId& id, std::int64_t done) {
    return From("w", {{.id = id, .progress = {.stage = "pack", .done = done}, .outcome = {}}});
  }
};

TEST_F(StandStill, LosesNoAttempt) {
  const JobId job = Submit("r", Spec(JobKind::kConvert))->id;
  const AttemptId id = Ask("w").at(0).id;
  RunFor(seconds(20));
  Freeze(minutes(10));
  ASSERT_TRUE(Sweep().ok());
  EXPECT_EQ(Show(job), "convert running; running");
  EXPECT_TRUE(Await(ListWorkers(*farm_))->at(0).online);
  RunFor(seconds(24));  // a lease and its grace are 45 s
  EXPECT_EQ(Show(job), "convert running; running");
  EXPECT_TRUE(Sync(Holding(id, 1))->stop.empty());
  RunFor(seconds(44));
  EXPECT_EQ(Show(job), "convert running; running");
  RunFor(seconds(3));
  EXPECT_EQ(Show(job), "convert queued; queued") << "its worker is lost";
}

TEST_F(StandStill, HoldsNobodyToTheOtherClocks) {
  limits_.policy.stall = minutes(2);
  limits_.policy.deadline = minutes(5);
  Restart();
  farm_->awake = clock_.Now();
  const JobId job = Submit("r", Spec(JobKind::kConvert))->id;
  const AttemptId id = Ask("w").at(0).id;
  for (int i = 0; i < 8; ++i) {
    Freeze(minutes(30));
    NoteAwake(*farm_);
    ASSERT_TRUE(Sync(Holding(id, i / 4)).ok());
    RunFor(seconds(25));
    EXPECT_EQ(Show(job), "convert running; running") << i;
  }
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(Sync(Holding(id, 1)).ok());
    RunFor(seconds(25));
  }
  EXPECT_EQ(Show(job), "convert queued; queued");
  EXPECT_EQ(Get(job).tasks[0].failure->reason, "STALLED");
}

TEST_F(StandStill, WhatWasHeardSinceIsNotOfTheFuture) {
  const JobId job = Submit("r", Spec(JobKind::kConvert))->id;
  const AttemptId id = Ask("w").at(0).id;
  Freeze(minutes(10));
  ASSERT_TRUE(Sync(Holding(id, 1)).ok());  // before the first beat
  RunFor(seconds(46));
  EXPECT_EQ(Show(job), "convert queued; queued");
}

TEST_F(StandStill, ABusyServerIsNotOneThatStandsStill) {
  const JobId job = Submit("r", Spec(JobKind::kConvert))->id;
  ASSERT_EQ(Ask("w").size(), 1U);
  for (int i = 0; i < 12; ++i) {
    Advance(seconds(4));
    NoteAwake(*farm_);
  }
  ASSERT_TRUE(Sweep().ok());
  EXPECT_EQ(Show(job), "convert queued; queued");
}

}  // namespace
}  // namespace tyllm::server::core
