// SPDX-License-Identifier: Apache-2.0
#include "server/sched/clocks.h"

#include <gtest/gtest.h>

#include <vector>

namespace tyllm::server::sched {
namespace {

using domain::TaskKind;
using std::chrono::hours;
using std::chrono::seconds;

constexpr TaskKind kKind = TaskKind::kQuantize;

Clock::Steady At(int second) {
  return Clock::Steady(seconds(second));
}

TEST(Overdue, TellsTheThreeClocksApart) {
  Policy policy;
  policy.lease = seconds(30);
  policy.lease_grace = seconds(10);
  policy.stall = seconds(100);
  policy.deadline = seconds(1000);

  struct Case {
    const char* says;
    int heard, progressed, started, now;
    std::optional<Ending> ending;
  };

  const std::vector<Case> cases = {
      {"well", 990, 990, 900, 1000, std::nullopt},
      {"at the end of the grace", 960, 960, 900, 1000, std::nullopt},
      {"gone", 959, 999, 900, 1000, Ending::kLeaseLost},
      {"there but stuck", 1000, 899, 800, 1000, Ending::kStalled},
      {"moving but late", 1001, 1001, 0, 1001, Ending::kDeadline},
      {"stuck and late", 1001, 0, 0, 1001, Ending::kDeadline},
      {"gone, stuck and late", 0, 0, 0, 2000, Ending::kLeaseLost},
  };
  for (const Case& c : cases) {
    const AttemptTimes times{At(c.heard), At(c.progressed), At(c.started), std::nullopt};
    EXPECT_EQ(Overdue(times, kKind, At(c.now), policy), c.ending) << c.says;
  }
}

TEST(Overdue, ACancelledAttemptHasItsTimeToStopAndNoOtherClock) {
  const Policy policy{.stall = seconds(1), .deadline = seconds(1), .stop = seconds(60)};
  EXPECT_EQ(Overdue({At(100), At(0), At(0), At(40)}, kKind, At(100), policy), std::nullopt);
  EXPECT_EQ(Overdue({At(101), At(0), At(0), At(40)}, kKind, At(101), policy), Ending::kStopped);
}

TEST(Overdue, AKindMayHaveItsOwnClocks) {
  Policy policy;
  policy.by_kind[TaskKind::kQuantize] = {
      .lease = seconds(600), .stall = seconds(700), .deadline = seconds(800)};
  policy.by_kind[TaskKind::kConvert] = {.lease = {}, .stall = seconds(1), .deadline = {}};

  struct Case {
    TaskKind kind;
    int heard, progressed, started;
    std::optional<Ending> ending;
  };

  const std::vector<Case> cases = {
      {TaskKind::kEvaluate, 900, 900, 900, Ending::kLeaseLost},
      {TaskKind::kQuantize, 900, 900, 900, std::nullopt},
      {TaskKind::kQuantize, 384, 384, 384, Ending::kLeaseLost},
      {TaskKind::kQuantize, 1000, 299, 299, Ending::kStalled},
      {TaskKind::kQuantize, 1000, 1000, 199, Ending::kDeadline},
      {TaskKind::kConvert, 1000, 998, 998, Ending::kStalled},
      {TaskKind::kConvert, 900, 900, 900, Ending::kLeaseLost},
  };
  for (const Case& c : cases) {
    const AttemptTimes times{At(c.heard), At(c.progressed), At(c.started), std::nullopt};
    EXPECT_EQ(Overdue(times, c.kind, At(1000), policy), c.ending)
        << domain::kTaskKindNames.Name(c.kind) << " " << c.heard << " " << c.started;
  }
}

TEST(StoodStill, OnlyWhatIsLaterThanABusyServer) {
  const Policy policy;
  const Clock::Steady last{hours(1)};
  EXPECT_EQ(StoodStill(last, last + seconds(1), policy), seconds(0));
  EXPECT_EQ(StoodStill(last, last + seconds(4), policy), seconds(0));
  EXPECT_EQ(StoodStill(last, last + seconds(56), policy), seconds(55));
}

TEST(Without, ATimeThatWasNoneMovesEveryClockAndNoneBeyondNow) {
  const Clock::Steady now{hours(1)};
  const AttemptTimes times{.heard = now - seconds(60),
                           .progressed = now - seconds(90),
                           .started = now - seconds(100),
                           .stopping = now - seconds(10)};
  const AttemptTimes moved{.heard = now - seconds(5),
                           .progressed = now - seconds(35),
                           .started = now - seconds(45),
                           .stopping = now};
  EXPECT_EQ(Without(times, seconds(55), now), moved);
}

}  // namespace
}  // namespace tyllm::server::sched
