// SPDX-License-Identifier: Apache-2.0
#include "server/sched/bench.h"

#include <gtest/gtest.h>

namespace tyllm::server::sched {
namespace {

using domain::TaskId;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Clock::Steady kStart{hours(1)};

Trouble After(const std::vector<std::int64_t>& tasks, const Policy& policy = {}) {
  Trouble trouble;
  for (const std::int64_t task : tasks) {
    NoteMachineFailure(trouble, TaskId{task}, "WORKER_UNFIT", kStart, policy);
  }
  return trouble;
}

TEST(Bench, TableOfFailuresInARow) {
  struct Case {
    const char* says;
    std::vector<std::int64_t> tasks;
    Policy policy;
    bool benched;
  };

  const std::vector<Case> cases = {
      {"nothing", {}, {}, false},
      {"two", {1, 2}, {}, false},
      {"three", {1, 2, 3}, {}, true},
      {"one task time and again may be the task", {1, 1, 1, 1, 1}, {}, false},
      {"two tasks time and again", {1, 2, 1, 2, 1}, {}, false},
      {"as it was configured", {1}, {.bench_failures = 1}, true},
      {"never", {1, 2, 3, 4, 5}, {.bench_failures = 0}, false},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(IsBenched(After(c.tasks, c.policy), c.policy), c.benched) << c.says;
  }
}

TEST(Bench, PausesDoubleWithEveryOneThatItHadToTryAndStopGrowing) {
  const Policy policy;
  Trouble trouble = After({1, 2, 3});
  Clock::Steady now = kStart;
  for (const auto pause :
       {minutes(1), minutes(2), minutes(4), minutes(8), minutes(10), minutes(10)}) {
    EXPECT_EQ(BenchedUntil(trouble, policy), now + pause);
    now = BenchedUntil(trouble, policy);
    NoteMachineFailure(trouble, TaskId{1}, "KILLED", now, policy);
  }
  EXPECT_EQ(trouble.reason, "KILLED");
}

TEST(Bench, WhatRanBesideTheLastOneDoesNotCount) {
  const Policy policy;
  Trouble trouble = After({1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_EQ(trouble.failures, 3);
  EXPECT_EQ(BenchedUntil(trouble, policy), kStart + minutes(1));
}

TEST(Bench, WhatLiesFarBackIsForgotten) {
  const Policy policy;
  Trouble trouble = After({1, 2});
  NoteMachineFailure(trouble, TaskId{3}, "WORKER_UNFIT", kStart + hours(2), policy);
  EXPECT_EQ(trouble.failures, 1);
  EXPECT_FALSE(IsBenched(trouble, policy));
}

TEST(Bench, ABenchedWorkerTriesOneTaskAtATime) {
  const Policy policy;
  const Trouble benched = After({1, 2, 3});
  const Clock::Steady soon = kStart + seconds(59);
  const Clock::Steady later = kStart + seconds(60);
  EXPECT_EQ(FreeOnTrial(After({1, 2}), 4, false, soon, policy), 4) << "not benched";
  EXPECT_EQ(FreeOnTrial(benched, 4, true, soon, policy), 0);
  EXPECT_EQ(FreeOnTrial(benched, 4, true, later, policy), 1);
  EXPECT_EQ(FreeOnTrial(benched, 3, false, later, policy), 0) << "one at a time";
  EXPECT_EQ(FreeOnTrial(benched, 0, true, later, policy), 0) << "it has no slot";
}

}  // namespace
}  // namespace tyllm::server::sched
