// SPDX-License-Identifier: Apache-2.0
#include "worker/plan/shard.h"

#include <gtest/gtest.h>

#include "tests/worker/plan/shapes.h"

namespace tyllm::plan {
namespace {

using testing::DemoShape;
using testing::GoldenShape;

TEST(ShardTest, SplitsDemoModelOverOneToFourDies) {
  const std::vector<ShardPlan> expected = {
      {{{{0, 4}, {0, 2}, {0, 768}, {0, 4096}}}, 1, 128, 128},
      {{{{0, 2}, {0, 1}, {0, 384}, {0, 2048}}, {{2, 4}, {1, 2}, {384, 768}, {2048, 4096}}},
       2,
       128,
       128},
      {{{{0, 2}, {0, 1}, {0, 256}, {0, 1376}},
        {{2, 4}, {1, 2}, {256, 512}, {1376, 2736}},
        {{4, 4}, {2, 2}, {512, 768}, {2736, 4096}}},
       3,
       128,
       128},
      {{{{0, 1}, {0, 1}, {0, 256}, {0, 1024}},
        {{1, 2}, {0, 1}, {256, 512}, {1024, 2048}},
        {{2, 3}, {1, 2}, {512, 640}, {2048, 3072}},
        {{3, 4}, {1, 2}, {640, 768}, {3072, 4096}}},
       4,
       64,
       128},
  };
  for (std::int64_t dies = 1; dies <= 4; ++dies) {
    const Result<ShardPlan> plan = ShardModel(DemoShape(), 128, dies);
    ASSERT_TRUE(plan.ok()) << plan.status().ToString();
    EXPECT_EQ(*plan, expected[static_cast<std::size_t>(dies - 1)]) << dies << " dies";
  }
}

TEST(ShardTest, CutsGroupsOfHeadsWhereThatIsMoreEven) {
  const Result<ShardPlan> plan = ShardModel(GoldenShape(), 0, 3);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->dies[0].heads, (Range{0, 3}));
  EXPECT_EQ(plan->dies[0].kv_heads, (Range{0, 2}));
  EXPECT_EQ(plan->dies[1].heads, (Range{3, 6}));
  EXPECT_EQ(plan->dies[1].kv_heads, (Range{1, 3}));
  EXPECT_EQ(plan->dies[2].heads, (Range{6, 8}));
  EXPECT_EQ(plan->dies[2].kv_heads, (Range{3, 4}));
}

TEST(ShardTest, DealsOutPartsOfGroupsWhenThereAreFewerGroupsThanDies) {
  model::ModelShape shape = DemoShape();
  shape.intermediate = 384;  // three groups of 128
  const Result<ShardPlan> plan = ShardModel(shape, 128, 4);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->dies[0].intermediate, (Range{0, 128}));
  EXPECT_EQ(plan->dies[1].intermediate, (Range{128, 256}));
  EXPECT_EQ(plan->dies[2].intermediate, (Range{256, 320}));
  EXPECT_EQ(plan->mlp_group, 64);
}

TEST(ShardTest, EveryDieGetsSomethingAndNothingIsLost) {
  for (const std::int64_t group : {0, 32, 64, 128}) {
    for (std::int64_t dies = 1; dies <= 4; ++dies) {
      const Result<ShardPlan> plan = ShardModel(DemoShape(), group, dies);
      ASSERT_TRUE(plan.ok());
      std::int64_t columns = 0;
      for (const DieShard& die : plan->dies) {
        EXPECT_GT(die.intermediate.size(), 0);
        EXPECT_EQ(die.intermediate.begin, columns);
        columns = die.intermediate.end;
      }
      EXPECT_EQ(columns, 768);
    }
  }
}

TEST(ShardTest, TooManyDiesNamesTheLargestNumber) {
  model::ModelShape shape = DemoShape();
  shape.intermediate = 64;
  const Result<ShardPlan> plan = ShardModel(shape, 64, 3);
  ASSERT_EQ(plan.status().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(plan.status().message().find("at most 2 dies"), std::string::npos)
      << plan.status().message();
  EXPECT_EQ(MaxDies(shape, 64), 2);
}

TEST(ShardTest, HeadsGoToTheFewestDiesWithTheSmallestLargestShare) {
  EXPECT_EQ(FewestDies(14, 4), 4);
  EXPECT_EQ(FewestDies(14, 16), 14);
  EXPECT_EQ(FewestDies(40, 16), 14);
  EXPECT_EQ(FewestDies(4, 3), 2);
  EXPECT_EQ(FewestDies(16, 1), 1);
}

TEST(ShardTest, EveryReduceGroupHasAllHeads) {
  const Result<ShardPlan> plan = ShardModel(DemoShape(), 128, Split{6, 0, 3});
  ASSERT_TRUE(plan.ok()) << plan.status().ToString();
  EXPECT_EQ(plan->reduce_group, 3);
  for (std::size_t die = 0; die < 6; ++die) {
    EXPECT_EQ(plan->dies[die].heads, plan->dies[die % 3].heads);
    EXPECT_EQ(plan->dies[die].kv_heads, plan->dies[die % 3].kv_heads);
  }
  EXPECT_EQ(plan->dies[2].heads.size(), 0);
  EXPECT_EQ(plan->dies[5].intermediate.end, 768);
}

TEST(ShardTest, AttentionMayHaveFewerDiesThanTheRest) {
  const Result<ShardPlan> plan = ShardModel(DemoShape(), 128, Split{4, 2, 0});
  ASSERT_TRUE(plan.ok()) << plan.status().ToString();
  EXPECT_EQ(plan->dies[1].heads, (Range{2, 4}));
  EXPECT_EQ(plan->dies[2].heads.size(), 0);
  EXPECT_EQ(plan->dies[3].kv_heads.size(), 0);
  EXPECT_EQ(plan->attention_group, 128);
}

TEST(ShardTest, AllProblemsOfAModelAndASplitAreListed) {
  model::ModelShape shape = DemoShape();
  shape.width = 250;
  shape.head_size = 60;
  EXPECT_EQ(ShardProblems(shape, 48, Split{4, 9, 3}).size(), 6U);
  EXPECT_TRUE(ShardProblems(DemoShape(), 128, Split{16, 3, 4}).empty());
}

TEST(ShardTest, RefusesWhatKernelsDoNotTake) {
  model::ModelShape shape = DemoShape();
  EXPECT_EQ(ShardModel(shape, 16, 1).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(ShardModel(shape, 96, 1).status().code(), StatusCode::kInvalidArgument);
  shape.head_size = 60;
  EXPECT_EQ(ShardModel(shape, 0, 1).status().code(), StatusCode::kInvalidArgument);
}

TEST(ShardTest, RefusesGroupsThatKernelsDoNotSumByTheirSize) {
  model::ModelShape shape = DemoShape();
  shape.width = 1024;
  shape.heads = 16;
  shape.kv_heads = 16;
  shape.intermediate = 4096;
  EXPECT_TRUE(ShardModel(shape, 512, 1).ok());
  const Status status = ShardModel(shape, 1024, 1).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("group is 1024, expected at most 512"), std::string::npos)
      << status.message();
}

}  // namespace
}  // namespace tyllm::plan
