// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/op_table.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/worker/plan/shapes.h"
#include "worker/graph/graph.h"
#include "worker/plan/phases.h"
#include "worker/plan/shard.h"

namespace tyllm::simulator {
namespace {

/// A decoding program on two dies, of which only the first has heads.
std::vector<plan::Schedule> UnevenSchedules() {
  const model::ModelShape shape = plan::testing::GoldenShape();
  const graph::Graph graph = graph::BuildGraph(shape);
  const auto shards = plan::ShardModel(shape, 0, plan::Split{2, 1, 0});
  EXPECT_TRUE(shards.ok()) << shards.status().ToString();
  std::vector<plan::Schedule> schedules;
  for (std::int64_t die = 0; die < 2; ++die) {
    auto schedule =
        plan::BuildSchedule(graph, {}, *shards, die, {plan::ProgramKind::kDecode, 1}, 64, false);
    EXPECT_TRUE(schedule.ok()) << schedule.status().ToString();
    schedules.push_back(*std::move(schedule));
  }
  return schedules;
}

/// What an executor of one worker logs of a call: each phase on the dies that have it.
LoggedCall CallOf(const std::vector<plan::Schedule>& schedules) {
  LoggedCall call{{}, 1, 5, TaskLog(1)};
  for (std::size_t d = 0; d < schedules.size(); ++d) {
    call.schedules.push_back(&schedules[d]);
    const std::vector<plan::SegmentRun> runs = schedules[d].Runs();
    for (std::size_t s = 0; s < runs.size(); ++s) {
      const std::int32_t kind =
          runs[s].layer < 0 ? 0
                            : schedules[d].kind_of_layer[static_cast<std::size_t>(runs[s].layer)];
      const std::size_t phases = plan::PhasesOf(schedules[d], *runs[s].plan, kind).size();
      for (std::size_t phase = 0; phase < phases; ++phase) {
        call.log[0].push_back({0,
                               static_cast<std::uint32_t>(s),
                               static_cast<std::uint32_t>(phase),
                               static_cast<std::uint32_t>(d),
                               {},
                               {}});
      }
    }
  }
  return call;
}

TEST(OpTable, ADieWithoutHeadsAddsNothingToPhasesThatItHasNot) {
  const std::vector<plan::Schedule> schedules = UnevenSchedules();
  const LoggedCall call = CallOf(schedules);
  double bytes = 0;
  for (const BenchOp& op : OpsOf(std::span(&call, 1))) {
    EXPECT_FALSE(op.op.empty());
    bytes += op.bytes;
  }
  EXPECT_DOUBLE_EQ(bytes, BytesOfCall(call.schedules, call.tokens, call.history));
}

TEST(OpTable, NamesEverySpanOfADieWhoseOrderIsAnother) {
  const std::vector<plan::Schedule> schedules = UnevenSchedules();
  LoggedCall call = CallOf(schedules);
  std::swap(call.schedules[0], call.schedules[1]);  // the first die is the one without heads
  const std::string trace = ChromeTrace(std::span(&call, 1));
  EXPECT_NE(trace.find("attention"), std::string::npos);
  EXPECT_FALSE(OpsOf(std::span(&call, 1)).empty());
}

}  // namespace
}  // namespace tyllm::simulator
