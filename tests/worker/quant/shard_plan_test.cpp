// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/shard_plan.h"

#include <gtest/gtest.h>

#include "common/format/json.h"

namespace tyllm::quant {
namespace {

std::vector<format::TensorSpec> ThreeTensors() {
  return {{"a", format::DType::kF16, {100}},
          {"b", format::DType::kF16, {50}},
          {"c", format::DType::kI32, {10}}};
}

TEST(ShardPlan, OfLittleIsOneFileOfThePlainName) {
  const auto shards = PlanShards(ThreeTensors(), 1000);
  ASSERT_EQ(shards.size(), 1U);
  EXPECT_EQ(shards[0].file, "model.safetensors");
  EXPECT_EQ(shards[0].tensors.size(), 3U);
}

TEST(ShardPlan, StartsANewFileWhereTheLimitWouldBePassed) {
  const auto shards = PlanShards(ThreeTensors(), 250);
  ASSERT_EQ(shards.size(), 2U);
  EXPECT_EQ(shards[0].file, "model-00001-of-00002.safetensors");
  EXPECT_EQ(shards[0].tensors.size(), 1U);
  EXPECT_EQ(shards[1].file, "model-00002-of-00002.safetensors");
  EXPECT_EQ(shards[1].tensors.size(), 2U);
}

TEST(ShardPlan, PutsATensorBeyondTheLimitInAFileOfItsOwn) {
  EXPECT_EQ(PlanShards(ThreeTensors(), 1).size(), 3U);
}

TEST(IndexText, NamesTheFileOfEveryTensor) {
  const auto index = format::ParseJson(IndexText(PlanShards(ThreeTensors(), 250)), "index");
  ASSERT_TRUE(index.ok());
  EXPECT_EQ((*index)["metadata"]["total_size"], 340);
  EXPECT_EQ((*index)["weight_map"]["a"], "model-00001-of-00002.safetensors");
  EXPECT_EQ((*index)["weight_map"]["c"], "model-00002-of-00002.safetensors");
}

}  // namespace
}  // namespace tyllm::quant
