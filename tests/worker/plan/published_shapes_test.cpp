// SPDX-License-Identifier: Apache-2.0

// Every published shape is cut, scheduled and given its memory on every number of dies.
#include <gtest/gtest.h>

#include <algorithm>

#include "worker/model/published_models.h"
#include "worker/plan/memory_plan.h"

namespace tyllm::plan {
namespace {

constexpr std::int64_t kGroup = 128;

struct Case {
  model::PublishedModel model;
  Split split;
};

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (model::PublishedModel& published : model::PublishedModels()) {
    published.shape.layers = 2;
    for (const Split split :
         {Split{1}, Split{2}, Split{3}, Split{4}, Split{3, 2, 0}, Split{16}, Split{16, 0, 4}}) {
      cases.push_back({published, split});
    }
  }
  return cases;
}

/// Each range goes on where the one before it ended; together they are `total`.
void ExpectCovered(const std::vector<Range>& ranges, std::int64_t total, const char* what) {
  std::int64_t at = 0;
  for (const Range& range : ranges) {
    EXPECT_EQ(range.begin, at) << what;
    EXPECT_GE(range.size(), 0) << what;
    at = range.end;
  }
  EXPECT_EQ(at, total) << what;
}

std::vector<Range> RangesOf(const ShardPlan& plan, Range DieShard::* member, std::size_t first,
                            std::size_t count) {
  std::vector<Range> ranges;
  for (std::size_t die = first; die < first + count; ++die) {
    ranges.push_back(plan.dies[die].*member);
  }
  return ranges;
}

void ExpectWhole(const ShardPlan& plan, const model::ModelShape& shape) {
  const auto group = static_cast<std::size_t>(plan.reduce_group);
  for (std::size_t first = 0; first < plan.dies.size(); first += group) {
    ExpectCovered(RangesOf(plan, &DieShard::heads, first, group), shape.heads, "heads");
  }
  const std::size_t all = plan.dies.size();
  ExpectCovered(RangesOf(plan, &DieShard::intermediate, 0, all), shape.intermediate, "columns");
  ExpectCovered(RangesOf(plan, &DieShard::vocabulary, 0, all), shape.vocabulary, "vocabulary");
  for (const DieShard& die : plan.dies) {
    for (std::int64_t head = die.heads.begin; head < die.heads.end; ++head) {
      const std::int64_t kv = head / shape.queries_per_kv();
      EXPECT_TRUE(kv >= die.kv_heads.begin && kv < die.kv_heads.end) << "head " << head;
    }
    EXPECT_EQ(die.intermediate.begin % plan.mlp_group, 0);
    EXPECT_EQ(die.heads.begin * shape.head_size % plan.attention_group, 0);
  }
}

TEST(PublishedShapesTest, ArePlannedOnOneToFourAndSixteenDies) {
  const std::vector<Case> cases = Cases();
  ASSERT_GE(cases.size(), 18U * 7U);
  for (const Case& c : cases) {
    SCOPED_TRACE(std::string(c.model.name) + " on " + std::to_string(c.split.dies) + " dies");
    const Result<ShardPlan> plan = ShardModel(c.model.shape, kGroup, c.split);
    ASSERT_TRUE(plan.ok()) << plan.status().ToString();
    ExpectWhole(*plan, c.model.shape);
    const graph::Graph graph = graph::BuildGraph(c.model.shape);
    for (const ProgramId& program : ProgramsOf({1, 8, 96})) {
      for (std::int64_t die = 0; die < c.split.dies; ++die) {
        const Result<Schedule> schedule =
            BuildSchedule(graph, {kGroup, {"lm_head"}}, *plan, die, program, 4096, false);
        ASSERT_TRUE(schedule.ok()) << schedule.status().ToString();
        const Result<MemoryPlan> memory = PlanMemory(*schedule);
        ASSERT_TRUE(memory.ok()) << memory.status().ToString();
        ASSERT_EQ(schedule->Runs().size(), 2U + 2U * 2U);
      }
    }
  }
}

}  // namespace
}  // namespace tyllm::plan
