// SPDX-License-Identifier: Apache-2.0
#include "server/sched/fair_order.h"

#include <gtest/gtest.h>

namespace tyllm::server::sched {
namespace {

using domain::JobClass;
using domain::JobId;

constexpr std::int64_t kNow = 1'000'000'000;
constexpr std::int64_t kHour = 3'600'000;

/// A lane is named by its id in what is expected.
Lane MakeLane(std::int64_t id, const std::string& project, int priority = 0,
              JobClass job_class = JobClass::kBatch, std::int64_t waited_ms = 0) {
  Lane lane;
  lane.id = id;
  lane.key.project = project;
  lane.key.priority = priority;
  lane.key.job_class = job_class;
  lane.oldest_job = JobId{id};
  lane.oldest_queued_ms = kNow - waited_ms;
  return lane;
}

Share Used(double seconds, double weight = 1) {
  return {.weight = weight, .used_seconds = seconds};
}

Share Running(std::int64_t tasks, std::optional<std::int64_t> limit) {
  Share share;
  share.running_tasks = tasks;
  share.max_running_tasks = limit;
  return share;
}

Shares SharesOf(std::initializer_list<std::pair<const char*, Share>> projects,
                std::int64_t interactive = 0) {
  Shares shares;
  for (const auto& [name, share] : projects) {
    shares.projects.emplace(name, share);
  }
  shares.interactive_tasks = interactive;
  return shares;
}

TEST(FairOrder, TableOfSnapshots) {
  struct Case {
    const char* says;
    std::vector<Lane> lanes;
    Shares shares;
    std::vector<std::int64_t> order;
  };

  const auto interactive = JobClass::kInteractive;
  const auto batch = JobClass::kBatch;
  const std::vector<Case> cases = {
      {"nothing waits", {}, SharesOf({}), {}},
      {"the oldest job first", {MakeLane(2, "a"), MakeLane(1, "a")}, SharesOf({}), {1, 2}},
      {"who had least",
       {MakeLane(1, "a"), MakeLane(2, "b")},
       SharesOf({{"a", Used(10)}}, 0),
       {2, 1}},
      {"by weight",
       {MakeLane(1, "a"), MakeLane(2, "b")},
       SharesOf({{"a", Used(20, 3)}, {"b", Used(10, 1)}}),
       {1, 2}},
      {"priority inside a project",
       {MakeLane(1, "a"), MakeLane(2, "a", 5), MakeLane(3, "a", -1)},
       SharesOf({}),
       {2, 1, 3}},
      {"no priority between projects",
       {MakeLane(1, "a", 1000), MakeLane(2, "b", -1000)},
       SharesOf({{"a", Used(10)}}, 0),
       {2, 1}},
      {"long waiting is worth priority",
       {MakeLane(1, "a", 0, batch, 2 * kHour), MakeLane(2, "a", 5)},
       SharesOf({}),
       {1, 2}},
      {"interactive first, across projects",
       {MakeLane(1, "b"), MakeLane(2, "a", 0, interactive)},
       SharesOf({{"a", Used(50)}}, 0),
       {2, 1}},
      {"interactive has its part already",
       {MakeLane(1, "b"), MakeLane(2, "a", 0, interactive)},
       SharesOf({{"a", Used(50)}}, 2),
       {1, 2}},
      {"interactive first within its project all the same",
       {MakeLane(1, "a", 50), MakeLane(2, "a", 0, interactive)},
       SharesOf({}, 2),
       {2, 1}},
      {"interactive of a project far over its due",
       {MakeLane(1, "b"), MakeLane(2, "a", 0, interactive)},
       SharesOf({{"a", Used(50'000)}, {"b", Used(1'000)}}),
       {1, 2}},
      {"a project at its limit is left out",
       {MakeLane(1, "a"), MakeLane(2, "b")},
       SharesOf({{"a", Running(4, 4)}}),
       {2}},
      {"a project below its limit is not",
       {MakeLane(1, "a")},
       SharesOf({{"a", Running(3, 4)}}),
       {1}},
  };
  for (const Case& c : cases) {
    std::vector<std::int64_t> order;
    for (const std::size_t i : FairOrder(c.lanes, c.shares, {8}, kNow, Fairness{})) {
      order.push_back(c.lanes[i].id);
    }
    EXPECT_EQ(order, c.order) << c.says;
  }
}

TEST(NoteStart, ManyThatStartAtOnceTakeTurns) {
  const std::vector<Lane> lanes = {MakeLane(1, "a"), MakeLane(2, "b")};
  Shares shares;
  std::vector<std::int64_t> started;
  for (int i = 0; i < 4; ++i) {
    const std::size_t next = FairOrder(lanes, shares, {8}, kNow, Fairness{}).front();
    started.push_back(lanes[next].id);
    NoteStart(shares, lanes[next].key, 1);
  }
  EXPECT_EQ(started, (std::vector<std::int64_t>{1, 2, 1, 2}));
  EXPECT_EQ(shares.projects.at("a").running_tasks, 2);
}

}  // namespace
}  // namespace tyllm::server::sched
