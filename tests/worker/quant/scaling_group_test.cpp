// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/scaling_group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/model_directory.h"

namespace tyllm::quant {
namespace {

using ::testing::ElementsAre;
using testing::ModelDirectory;

class Qwen3Layer : public ::testing::Test {
 protected:
  model::ModelShape shape_ = *model::ParseShape(ModelDirectory::SmallQwen3Config(), "config.json");
  graph::Block block_ = graph::BuildGraph(shape_).layers[1];
};

TEST_F(Qwen3Layer, HasFourGroups) {
  const auto groups = FindScalingGroups(block_, shape_);
  ASSERT_EQ(groups.size(), 4U);
  EXPECT_THAT(groups[0].linears,
              ElementsAre("model.layers.1.self_attn.q_proj", "model.layers.1.self_attn.k_proj",
                          "model.layers.1.self_attn.v_proj"));
  EXPECT_EQ(groups[0].producer, Producer::kNorm);
  EXPECT_EQ(groups[0].producer_weight, "model.layers.1.input_layernorm.weight");
  EXPECT_THAT(groups[1].linears, ElementsAre("model.layers.1.self_attn.o_proj"));
  EXPECT_EQ(groups[1].producer, Producer::kLinear);
  EXPECT_EQ(groups[1].producer_weight, "model.layers.1.self_attn.v_proj");
  EXPECT_THAT(groups[2].linears,
              ElementsAre("model.layers.1.mlp.gate_proj", "model.layers.1.mlp.up_proj"));
  EXPECT_EQ(groups[2].producer, Producer::kNorm);
  EXPECT_THAT(groups[3].linears, ElementsAre("model.layers.1.mlp.down_proj"));
  EXPECT_EQ(groups[3].producer_weight, "model.layers.1.mlp.up_proj");
  EXPECT_EQ(groups[3].channels, 96);
}

TEST_F(Qwen3Layer, SharesChannelsOfQueryHeadsOfOneKvHead) {
  const ScalingGroup o = FindScalingGroups(block_, shape_)[1];
  EXPECT_EQ(o.channels, 32);  // 2 KV heads of 16
  ASSERT_EQ(o.channel.size(), 64U);
  EXPECT_EQ(o.channel[5], 5);
  EXPECT_EQ(o.channel[16 + 5], 5);       // query head 1 reads KV head 0
  EXPECT_EQ(o.channel[32 + 5], 16 + 5);  // query heads 2 and 3 KV head 1
  EXPECT_EQ(o.channel[48 + 5], 16 + 5);
}

TEST_F(Qwen3Layer, FoldsNothingIntoANormThatSomethingElseReads) {
  // The residual stream now takes the normed values: dividing them would change it.
  graph::Node& add = block_.nodes.back();
  ASSERT_EQ(add.op, graph::Op::kAdd);
  const auto mlp_norm = graph::Producer(block_, FindScalingGroups(block_, shape_)[2].input)->output;
  add.inputs[0] = mlp_norm;
  const auto groups = FindScalingGroups(block_, shape_);
  EXPECT_EQ(groups[2].producer, Producer::kNone);
  EXPECT_EQ(groups[0].producer, Producer::kNorm);
}

TEST_F(Qwen3Layer, FoldsNothingIntoAProjectionThatSomethingElseReads) {
  for (graph::Node& node : block_.nodes) {
    if (node.op == graph::Op::kAttention) {
      node.inputs[1] = node.inputs[2];  // v is the key as well
    }
  }
  EXPECT_EQ(FindScalingGroups(block_, shape_)[1].producer, Producer::kNone);
}

}  // namespace
}  // namespace tyllm::quant
