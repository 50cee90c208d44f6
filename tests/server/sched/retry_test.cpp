// SPDX-License-Identifier: Apache-2.0
#include "server/sched/retry.h"

#include <gtest/gtest.h>

#include <vector>

namespace tyllm::server::sched {
namespace {

using domain::Failure;
using std::chrono::minutes;
using std::chrono::seconds;

EndedAttempt Ended(Ending ending, bool retryable = true) {
  EndedAttempt ended{.number = 2, .worker = "gpu1", .stage = "pack", .ending = ending};
  if (ending == Ending::kFailed) {
    ended.reported = Failure{.reason = "CRASHED", .message = "it crashed", .retryable = retryable};
  }
  return ended;
}

TEST(Judge, TableOfEndings) {
  const Policy policy{.failures = 3, .losses = 3, .first_backoff = seconds(5)};

  struct Case {
    const char* says;
    EndedAttempt ended;
    Spent spent;
    bool again;
    Milliseconds delay;
    const char* reason;
  };

  const std::vector<Case> cases = {
      {"a first failure", Ended(Ending::kFailed), {0, 0}, true, seconds(5), "CRASHED"},
      {"a second failure", Ended(Ending::kFailed), {1, 2}, true, seconds(10), "CRASHED"},
      {"a third failure", Ended(Ending::kFailed), {2, 0}, false, seconds(0), "CRASHED"},
      {"bad arguments", Ended(Ending::kFailed, false), {0, 0}, false, seconds(0), "CRASHED"},
      {"a lost worker", Ended(Ending::kLeaseLost), {2, 1}, true, seconds(0), "LEASE_LOST"},
      {"poison", Ended(Ending::kLeaseLost), {0, 2}, false, seconds(0), "LEASE_LOST"},
      {"stuck", Ended(Ending::kStalled), {0, 2}, true, seconds(5), "STALLED"},
      {"stuck again and again", Ended(Ending::kStalled), {2, 0}, false, seconds(0), "STALLED"},
      {"late", Ended(Ending::kDeadline), {0, 0}, true, seconds(5), "DEADLINE"},
      {"handed back", Ended(Ending::kReturned), {2, 2}, true, seconds(0), "RETURNED"},
  };
  for (const Case& c : cases) {
    const Verdict verdict = Judge(c.ended, c.spent, policy);
    EXPECT_EQ(verdict.again, c.again) << c.says;
    EXPECT_EQ(verdict.delay, c.delay) << c.says;
    EXPECT_EQ(verdict.failure.reason, c.reason) << c.says;
  }
}

TEST(Judge, BackoffStopsGrowing) {
  const Policy policy{.failures = 100, .first_backoff = seconds(5), .longest_backoff = minutes(1)};
  EXPECT_EQ(Judge(Ended(Ending::kFailed), {90, 0}, policy).delay, minutes(1));
}

TEST(Judge, APoisonedTaskSaysWhoLostItAndWhoIsToBlame) {
  const Failure failure = Judge(Ended(Ending::kLeaseLost), {0, 2}, Policy{}).failure;
  EXPECT_EQ(failure.blame, domain::Blame::kWorker);
  EXPECT_EQ(failure.stage, "pack");
  EXPECT_FALSE(failure.retryable);
  EXPECT_NE(failure.message.find("attempt 2 on worker gpu1"), std::string::npos);
  EXPECT_NE(failure.message.find("given up after 3 lost attempts"), std::string::npos);
}

}  // namespace
}  // namespace tyllm::server::sched
