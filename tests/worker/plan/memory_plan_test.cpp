// SPDX-License-Identifier: Apache-2.0
#include "worker/plan/memory_plan.h"

#include <gtest/gtest.h>

#include "tests/worker/plan/shapes.h"

namespace tyllm::plan {
namespace {

Schedule Build(ProgramId program, std::set<std::string, std::less<>> floats = {"lm_head"}) {
  const model::ModelShape shape = testing::DemoShape();
  const Result<ShardPlan> plan = ShardModel(shape, 128, 3);
  TYLLM_CHECK(plan.ok());
  Result<Schedule> schedule = BuildSchedule(graph::BuildGraph(shape), {128, std::move(floats)},
                                            *plan, 1, program, 1024, false);
  TYLLM_CHECK(schedule.ok());
  return *std::move(schedule);
}

BufferId Find(const Schedule& schedule, std::string_view name) {
  for (std::size_t b = 0; b < schedule.buffers.size(); ++b) {
    if (schedule.buffers[b].name == name) {
      return static_cast<BufferId>(b);
    }
  }
  ADD_FAILURE() << "no buffer " << name;
  return 0;
}

TEST(MemoryPlanTest, PlansOfAllProgramsAreProven) {
  for (const ProgramId& program : ProgramsOf({1, 8, 96})) {
    const Schedule schedule = Build(program, {"lm_head", "model.layers.1.self_attn.q_proj"});
    const Result<MemoryPlan> memory = PlanMemory(schedule);
    ASSERT_TRUE(memory.ok()) << memory.status().ToString();
    EXPECT_TRUE(CheckMemoryPlan(schedule, *memory).ok());
  }
}

TEST(MemoryPlanTest, BuffersThatAreNotNeededTogetherShareMemory) {
  const Schedule schedule = Build({ProgramKind::kLlm, 96});
  const Result<MemoryPlan> memory = PlanMemory(schedule);
  ASSERT_TRUE(memory.ok());
  std::uint64_t all = 0;
  for (const std::uint64_t size : memory->sizes) {
    all += size;
  }
  EXPECT_LT(memory->arena_bytes, all * 3 / 4);
}

TEST(MemoryPlanTest, OverlapOfLiveBuffersIsFound) {
  const Schedule schedule = Build({ProgramKind::kDecode, 8});
  Result<MemoryPlan> memory = PlanMemory(schedule);
  ASSERT_TRUE(memory.ok());
  memory->offsets[static_cast<std::size_t>(Find(schedule, "q"))] =
      memory->offsets[static_cast<std::size_t>(Find(schedule, "k"))];
  const Status status = CheckMemoryPlan(schedule, *memory);
  EXPECT_EQ(status.code(), StatusCode::kInternal);
  EXPECT_NE(status.message().find("share bytes"), std::string::npos) << status.message();
}

TEST(MemoryPlanTest, BufferOutsideTheArenaIsFound) {
  const Schedule schedule = Build({ProgramKind::kDecode, 1});
  Result<MemoryPlan> memory = PlanMemory(schedule);
  ASSERT_TRUE(memory.ok());
  memory->arena_bytes -= 64;
  EXPECT_FALSE(CheckMemoryPlan(schedule, *memory).ok());
  memory->arena_bytes += 64;
  memory->offsets[0] += 4;
  EXPECT_FALSE(CheckMemoryPlan(schedule, *memory).ok());
}

TEST(MemoryPlanTest, ReadBeforeWriteIsFound) {
  Schedule schedule = Build({ProgramKind::kDecode, 1});
  std::vector<Step>& steps = schedule.layer_kinds[0].segments[0].steps;
  steps.erase(steps.begin());
  EXPECT_EQ(LifetimesOf(schedule).status().code(), StatusCode::kInternal);
}

TEST(MemoryPlanTest, LogitsLiveToTheEnd) {
  const Schedule schedule = Build({ProgramKind::kDecode, 8});
  const Result<std::vector<Lifetime>> lifetimes = LifetimesOf(schedule);
  ASSERT_TRUE(lifetimes.ok());
  const Lifetime logits = (*lifetimes)[static_cast<std::size_t>(schedule.logits)];
  EXPECT_EQ(logits.last, (*lifetimes)[0].last);
}

}  // namespace
}  // namespace tyllm::plan
