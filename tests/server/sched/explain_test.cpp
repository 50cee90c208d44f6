// SPDX-License-Identifier: Apache-2.0
#include "server/sched/explain.h"

#include <gtest/gtest.h>

namespace tyllm::server::sched {
namespace {

using domain::MatchRule;
using domain::PendingReason;
using domain::TaskId;
using domain::TaskState;

constexpr std::int64_t kNow = 100'000;

Online Worker(int free_slots, bool takes_work = true, std::int64_t gpu_memory = 24LL << 30) {
  auto worker = std::make_shared<WorkerState>();
  worker->name = "secret";
  worker->capabilities.gpu_memory_bytes = gpu_memory;
  worker->capabilities.slots = 2;
  return {std::move(worker), free_slots, takes_work};
}

PendingTask Task(std::int64_t gpu_memory = 0) {
  PendingTask task;
  task.lane.project = "vision";
  if (gpu_memory > 0) {
    task.lane.needs = WithGpuMemory({}, gpu_memory);
  }
  return task;
}

TEST(ExplainPending, AFreeSlotWithoutRoomIsNoFreeWorker) {
  Online worker = Worker(1);
  worker.used.gpu_memory_bytes = 10LL << 30;
  EXPECT_EQ(ExplainPending(Task(14LL << 30), {{worker}}, {}, kNow).reason,
            PendingReason::kStarting);
  const auto pending = ExplainPending(Task(15LL << 30), {{worker}}, {}, kNow);
  EXPECT_EQ(pending.reason, PendingReason::kBusy);
  EXPECT_EQ(pending.eligible_workers, 1);
  EXPECT_EQ(pending.free_workers, 0);
  EXPECT_NE(pending.message.find("1 with a free slot, but not with as much memory"),
            std::string::npos)
      << pending.message;
}

TEST(ExplainPending, TableOfReasons) {
  PendingTask waiting = Task();
  waiting.state = TaskState::kWaiting;
  waiting.waits_for = {"quantize", "convert"};
  PendingTask joined = Task();
  joined.joined = TaskId{7};
  PendingTask pausing = Task();
  pausing.not_before_ms = kNow + 4'001;
  PendingTask behind = Task();
  behind.ahead = 3;
  behind.usual_run_ms = 10'000;
  PendingTask large = Task();
  large.wanted_gpu_memory = 60LL << 30;
  large.usual_run_ms = 5'000;
  PendingTask huge = Task(80LL << 30);
  huge.state = TaskState::kWaiting;
  Shares full;
  full.projects["vision"] = {.running_tasks = 4, .max_running_tasks = 4};

  struct Case {
    PendingTask task;
    std::vector<Online> online;
    Shares shares;
    PendingReason reason;
    const char* words;
    std::int64_t wait;
  };

  const std::vector<Case> cases = {
      {Task(), {}, {}, PendingReason::kNoWorker, "no worker is online", -1},
      {huge,
       {Worker(1), Worker(1, true, 16LL << 30)},
       {},
       PendingReason::kNoWorker,
       "none of 2 workers can take it: gpu_memory_bytes is to be at least 80.0 GiB, the best on "
       "offer is 24.0 GiB",
       -1},
      {Task(), {Worker(1, false)}, {}, PendingReason::kCordoned, "1 worker could take it", -1},
      {waiting, {Worker(1)}, {}, PendingReason::kInputs, "output of quantize, convert", -1},
      {joined, {Worker(1)}, {}, PendingReason::kJoined, "t7 does the same", -1},
      {pausing, {Worker(1)}, {}, PendingReason::kBackoff, "the next one in 5 s", 4'001},
      {Task(), {Worker(1)}, full, PendingReason::kQuota, "runs 4 tasks", -1},
      {behind,
       {Worker(0)},
       {},
       PendingReason::kBusy,
       "1 worker could take it, all are busy",
       20'000},
      {behind,
       {Worker(1), Worker(0)},
       {},
       PendingReason::kTurn,
       "3 tasks are served before it",
       10'000},
      {Task(), {Worker(1)}, {}, PendingReason::kStarting, "the next call", 0},
      {large,
       {Worker(1), Worker(0, true, 80LL << 30)},
       {},
       PendingReason::kBusy,
       "tasks like it wanted a GPU of 60.0 GiB of late; workers that have as much are busy, 1 "
       "worker "
       "with less would be free",
       1'250},
      {large, {Worker(1)}, {}, PendingReason::kStarting, "the next call", 0},
      {large, {Worker(1), Worker(1, true, 80LL << 30)}, {}, PendingReason::kStarting, "next", 0},
      {large,
       {Worker(1, true, 0), Worker(0, true, 80LL << 30)},
       {},
       PendingReason::kStarting,
       "the next call",
       0},
  };
  for (const Case& c : cases) {
    const domain::Pending pending = ExplainPending(c.task, c.online, c.shares, kNow);
    EXPECT_EQ(pending.reason, c.reason) << c.words;
    EXPECT_NE(pending.message.find(c.words), std::string::npos) << pending.message;
    EXPECT_EQ(pending.message.find("secret"), std::string::npos) << "no machine is named";
    EXPECT_EQ(pending.expected_wait_ms, c.wait) << c.words;
  }
}

Online Named(const std::string& name, int free_slots, bool benched = false) {
  Online online = Worker(free_slots);
  auto state = std::make_shared<WorkerState>(*online.worker);
  state->name = name;
  online.worker = std::move(state);
  online.benched = benched;
  return online;
}

TEST(ExplainPending, AFreeWorkerThatHasSpoiltItIsLeftOutWhileAnotherIsThere) {
  PendingTask task = Task();
  task.spoilt_by = {"bad"};
  task.usual_run_ms = 5'000;
  const domain::Pending left =
      ExplainPending(task, {{Named("bad", 1), Named("good", 0)}}, {}, kNow);
  EXPECT_EQ(left.reason, PendingReason::kBusy);
  EXPECT_EQ(left.eligible_workers, 2);
  EXPECT_EQ(left.free_workers, 0);
  EXPECT_EQ(left.expected_wait_ms, 2'500) << "of the other's two slots";
  EXPECT_NE(left.message.find("1 had it and failed it by the machine or was lost"),
            std::string::npos)
      << left.message;
  EXPECT_EQ(left.message.find("bad"), std::string::npos) << "no machine is named";
  EXPECT_EQ(ExplainPending(task, {{Named("bad", 1)}}, {}, kNow).reason, PendingReason::kStarting);
  EXPECT_EQ(ExplainPending(task, {{Named("bad", 1), Named("good", 1)}}, {}, kNow).reason,
            PendingReason::kStarting);
}

TEST(ExplainPending, ABenchedWorkerIsSaidToBeOne) {
  PendingTask task = Task();
  task.usual_run_ms = 5'000;
  const domain::Pending pending = ExplainPending(task, {{Named("bad", 0, true)}}, {}, kNow);
  EXPECT_EQ(pending.reason, PendingReason::kBusy);
  EXPECT_NE(pending.message.find("1 benched"), std::string::npos) << pending.message;
  EXPECT_EQ(pending.expected_wait_ms, -1) << "nobody knows when one succeeds there";
}

TEST(ExplainPending, NumbersOfWorkersAndShortfalls) {
  const std::vector<Online> online = {Worker(1), Worker(0), Worker(1, true, 0)};
  const domain::Pending pending = ExplainPending(Task(1LL << 30), online, {}, kNow);
  EXPECT_EQ(pending.eligible_workers, 2);
  EXPECT_EQ(pending.free_workers, 1);
  const domain::Pending none = ExplainPending(Task(99LL << 30), online, {}, kNow);
  ASSERT_EQ(none.shortfalls.size(), 1U);
  EXPECT_EQ(none.shortfalls[0].best, std::to_string(24LL << 30));
}

TEST(InWords, APropertyThatNobodyStates) {
  EXPECT_EQ(InWords({{"label.zone", MatchRule::kExact, "b"}, ""}),
            "label.zone is to be b, no worker states it");
  EXPECT_EQ(InWords({{"disk_free_bytes", MatchRule::kMinimum, "1000"}, "10"}),
            "disk_free_bytes is to be at least 1000 bytes, the best on offer is 10 bytes");
}

}  // namespace
}  // namespace tyllm::server::sched
