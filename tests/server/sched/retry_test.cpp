// SPDX-License-Identifier: Apache-2.0
#include "server/sched/retry.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "server/sched/failure_class.h"

namespace tyllm::server::sched {
namespace {

using domain::Blame;
using domain::Failure;
using domain::MemoryKind;
using domain::TaskId;
using std::chrono::minutes;
using std::chrono::seconds;

EndedAttempt Ended(Ending ending, Spent spent = {}, std::vector<std::string> lost_by = {}) {
  EndedAttempt ended;
  ended.id = {TaskId{7}, 2};
  ended.worker = "gpu1";
  ended.stage = "pack";
  ended.ending = ending;
  ended.spent = spent;
  ended.lost_by = std::move(lost_by);
  return ended;
}

EndedAttempt Reported(Blame blame, bool retryable = true, Spent spent = {}) {
  EndedAttempt ended = Ended(Ending::kFailed, spent);
  ended.reported =
      Failure{.blame = blame, .reason = "CRASHED", .message = "it crashed", .retryable = retryable};
  return ended;
}

EndedAttempt OutOfGpuMemory(std::int64_t here, std::int64_t largest, Spent spent = {}) {
  EndedAttempt ended = Reported(Blame::kWorker, true, spent);
  ended.reported->out_of_memory = MemoryKind::kGpu;
  ended.gpu_memory = here;
  ended.largest_gpu_memory = largest;
  return ended;
}

EndedAttempt Spoilt(std::vector<std::string> before, int failures) {
  EndedAttempt ended = Reported(Blame::kWorker, true, {failures, 0});
  ended.spoilt_by = std::move(before);
  return ended;
}

EndedAttempt CrashedAfter(std::vector<std::string> spoilt_by, int failures) {
  EndedAttempt ended = Reported(Blame::kToolchain, true, {failures, 0});
  ended.spoilt_by = std::move(spoilt_by);
  return ended;
}

EndedAttempt Advanced(Spent spent, std::vector<std::string> lost_by) {
  EndedAttempt ended = Ended(Ending::kLeaseLost, spent, std::move(lost_by));
  ended.advanced = true;
  return ended;
}

TEST(Judge, TableOfEndings) {
  struct Case {
    const char* says;
    EndedAttempt ended;
    bool again;
    Milliseconds wait;  ///< at least; at most a quarter more
    Spent spent;
  };

  const std::vector<Case> cases = {
      {"a crash", Reported(Blame::kToolchain), true, seconds(5), {1, 0}},
      {"a second one", Reported(Blame::kToolchain, true, {1, 2}), true, seconds(10), {2, 2}},
      {"a third one", Reported(Blame::kToolchain, true, {2, 0}), false, {}, {3, 0}},
      {"a full disk", Reported(Blame::kWorker), true, seconds(10), {1, 0}},
      {"one machine thrice", Spoilt({"gpu1", "gpu1"}, 2), true, seconds(40), {3, 0}},
      {"one machine too often",
       Spoilt({"gpu1", "gpu1", "gpu1", "gpu1", "gpu1", "gpu1", "gpu1", "gpu1"}, 8),
       false,
       {},
       {9, 0}},
      {"three machines", Spoilt({"a", "b"}, 2), false, {}, {3, 0}},
      {"two machines, one of them twice", Spoilt({"a", "gpu1"}, 2), true, seconds(40), {3, 0}},
      {"a machine and two crashes", Spoilt({}, 2), false, {}, {3, 0}},
      {"a crash after one machine failed twice",
       CrashedAfter({"a", "a"}, 2),
       true,
       seconds(20),
       {3, 0}},
      {"another crash", CrashedAfter({"a", "a"}, 3), false, {}, {4, 0}},
      {"the server's trouble", Reported(Blame::kFarm), true, seconds(30), {1, 0}},
      {"the server's trouble again",
       Reported(Blame::kFarm, true, {1, 0}),
       true,
       seconds(60),
       {2, 0}},
      {"bad arguments", Reported(Blame::kUser, false), false, {}, {1, 0}},
      {"a user's, said to be worth another try", Reported(Blame::kUser), false, {}, {1, 0}},
      {"a model of NaN", Reported(Blame::kModel), false, {}, {1, 0}},
      {"not worth another try", Reported(Blame::kToolchain, false), false, {}, {1, 0}},
      {"a lost worker", Ended(Ending::kLeaseLost, {2, 1}, {"a"}), true, {}, {2, 2}},
      {"poison", Ended(Ending::kLeaseLost, {0, 2}, {"a", "b"}), false, {}, {0, 3}},
      {"the same worker thrice", Ended(Ending::kLeaseLost, {0, 2}, {"gpu1"}), true, {}, {0, 3}},
      {"the same worker too often", Ended(Ending::kLeaseLost, {0, 8}, {"gpu1"}), false, {}, {0, 9}},
      {"lost, but further than before", Advanced({1, 2}, {"a", "b"}), true, {}, {1, 1}},
      {"lost so often, but further than before", Advanced({0, 8}, {"gpu1"}), true, {}, {0, 1}},
      {"stuck", Ended(Ending::kStalled, {0, 2}), true, seconds(5), {1, 2}},
      {"stuck again and again", Ended(Ending::kStalled, {2, 0}), false, {}, {3, 0}},
      {"late", Ended(Ending::kDeadline), true, seconds(5), {1, 0}},
      {"handed back", Ended(Ending::kReturned, {2, 2}), true, {}, {2, 2}},
      {"too little GPU memory", OutOfGpuMemory(24, 80, {2, 2}), true, {}, {2, 2}},
      {"no larger GPU", OutOfGpuMemory(80, 80), false, {}, {0, 0}},
      {"GPU memory of a worker that states none", OutOfGpuMemory(0, 80), true, seconds(10), {1, 0}},
  };
  for (const Case& c : cases) {
    const Verdict verdict = Judge(c.ended, Policy{});
    EXPECT_EQ(verdict.again, c.again) << c.says;
    EXPECT_GE(verdict.delay, c.wait) << c.says;
    EXPECT_LE(verdict.delay, c.wait * 5 / 4) << c.says;
    EXPECT_EQ(verdict.spent, c.spent) << c.says;
    EXPECT_EQ(verdict.failure.retryable, c.again) << c.says;
  }
}

TEST(Judge, EveryFailureSaysWhoseItIsWhereItWasAndWhatToDo) {
  for (const auto& [ending, name] : kEndingNames.rows()) {
    if (ending == Ending::kSucceeded || ending == Ending::kStopped) {
      continue;
    }
    for (const auto& [blame, blame_name] : domain::kBlameNames.rows()) {
      EndedAttempt ended = ending == Ending::kFailed ? Reported(blame) : Ended(ending);
      ended.log_bytes = 99;
      const Failure failure = Judge(ended, Policy{}).failure;
      EXPECT_FALSE(failure.action.empty()) << name << " " << blame_name;
      EXPECT_FALSE(failure.reason.empty()) << name;
      EXPECT_FALSE(failure.message.empty()) << name;
      EXPECT_EQ(failure.worker, "gpu1") << name;
      EXPECT_EQ(failure.attempt, 2) << name;
      EXPECT_EQ(failure.stage, "pack") << name;
      EXPECT_EQ(failure.log_bytes, 99) << name;
    }
  }
}

TEST(Judge, WhatTheServerNoticedHasTheLastLinesThatItGot) {
  EndedAttempt ended = Ended(Ending::kLeaseLost);
  ended.log_tail = "layer 12 of 28";
  EXPECT_EQ(Judge(ended, Policy{}).failure.log_tail, "layer 12 of 28");
}

TEST(Judge, WhatTheWorkerSaidIsKept) {
  EndedAttempt ended = Reported(Blame::kToolchain);
  ended.reported->exit_code = 3;
  ended.reported->signal = 11;
  ended.reported->log_tail = "theirs";
  ended.reported->action = "do that";
  ended.reported->stage = "load";
  const Failure failure = Judge(ended, Policy{}).failure;
  EXPECT_EQ(failure.exit_code, 3);
  EXPECT_EQ(failure.signal, 11);
  EXPECT_EQ(failure.log_tail, "theirs");
  EXPECT_EQ(failure.action, "do that");
  EXPECT_EQ(failure.stage, "load");
}

TEST(Judge, ALargerGpuIsAskedForAndMissedInWords) {
  const Verdict again = Judge(OutOfGpuMemory(24LL << 30, 80LL << 30), Policy{});
  EXPECT_EQ(again.needs_gpu_memory, (24LL << 30) + 1);
  const Verdict none = Judge(OutOfGpuMemory(80LL << 30, 80LL << 30), Policy{});
  EXPECT_EQ(none.failure.blame, Blame::kWorker);
  EXPECT_NE(none.failure.message.find("no worker has a GPU with more than 80.0 GiB"),
            std::string::npos)
      << none.failure.message;
}

TEST(Judge, ClocksOfTheKindAreInTheWords) {
  Policy policy;
  policy.by_kind[domain::TaskKind::kQuantize].stall = minutes(7);
  const Failure failure = Judge(Ended(Ending::kStalled), policy).failure;
  EXPECT_EQ(failure.blame, Blame::kToolchain);
  EXPECT_NE(
      failure.message.find("attempt 2 on worker gpu1 made no progress in stage 'pack' for 7 min"),
      std::string::npos)
      << failure.message;
}

TEST(Judge, WaitsStopGrowingAndDifferFromAttemptToAttempt) {
  Policy policy{.failures = 100};
  policy.longest_backoff = minutes(1);
  std::set<Milliseconds> waits;
  for (int task = 1; task <= 20; ++task) {
    EndedAttempt ended = Reported(Blame::kToolchain, true, {90, 0});
    ended.id.task = TaskId{task};
    const Milliseconds wait = Judge(ended, policy).delay;
    EXPECT_GE(wait, minutes(1));
    EXPECT_LE(wait, seconds(75));
    EXPECT_EQ(Judge(ended, policy).delay, wait) << "the same attempt, the same wait";
    waits.insert(wait);
  }
  EXPECT_GT(waits.size(), 10U);
}

TEST(Judge, MachinesThatFailedItAreNamedInTheEnd) {
  const Failure failure = Judge(Spoilt({"a", "b"}, 2), Policy{}).failure;
  EXPECT_NE(failure.message.find("3 attempts failed, 3 of them by the machine: worker a, b, gpu1"),
            std::string::npos)
      << failure.message;
  EXPECT_EQ(Judge(Spoilt({"gpu1", "gpu1"}, 2), Policy{}).counted_failures, 1);
}

TEST(Judge, AJobThatRefusedBeforeItSaidAStageFailedInNoneOfTheAgents) {
  EndedAttempt refused = Reported(Blame::kUser, false);
  refused.stage = "fetch";
  refused.reported->exit_code = 7;
  EXPECT_EQ(Judge(refused, Policy{}).failure.stage, "");
  refused.reported->stage = "start";
  EXPECT_EQ(Judge(refused, Policy{}).failure.stage, "start");
  refused.reported->stage.clear();
  refused.reported->exit_code = 0;
  EXPECT_EQ(Judge(refused, Policy{}).failure.stage, "fetch") << "the agent's own failure";
}

TEST(Judge, APoisonedTaskSaysWhomItBroughtDown) {
  const Failure failure = Judge(Ended(Ending::kLeaseLost, {0, 2}, {"a", "b"}), Policy{}).failure;
  EXPECT_EQ(failure.blame, Blame::kWorker);
  EXPECT_NE(failure.message.find("3 attempts were lost, on workers a, b, gpu1"), std::string::npos)
      << failure.message;
  EXPECT_NE(failure.action.find("tyllm-client logs t7"), std::string::npos);
}

}  // namespace
}  // namespace tyllm::server::sched
