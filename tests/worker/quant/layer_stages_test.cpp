// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/layer_stages.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/temporary_directory.h"
#include "tests/worker/quant/cpu_machine.h"
#include "tests/worker/quant/made_model.h"
#include "tests/worker/quant/made_statistics.h"
#include "worker/forward/model.h"

namespace tyllm::quant {
namespace {

class Stages : public ::testing::Test {
 protected:
  void SetUp() override {
    testing::WriteModel(testing::SmallModel(), folder_ / "model");
    model_.emplace(*forward::OpenModel(folder_ / "model"));
  }

  const graph::Block& layer() const { return model_->graph.layers[0]; }

  testing::TemporaryDirectory folder_;
  std::optional<forward::Model> model_;
  testing::CpuMachine cpu_;
};

TEST_F(Stages, AreAttentionAndMlp) {
  const std::vector<graph::Block> stages = StagesOf(layer());
  ASSERT_EQ(stages.size(), 2U);
  const auto has = [](const graph::Block& stage, const std::string& weight) {
    return std::ranges::find(stage.nodes, weight, &graph::Node::weight) != stage.nodes.end();
  };
  EXPECT_TRUE(has(stages[0], "model.layers.0.self_attn.o_proj"));
  EXPECT_FALSE(has(stages[0], "model.layers.0.mlp.up_proj"));
  EXPECT_TRUE(has(stages[1], "model.layers.0.mlp.down_proj"));
  EXPECT_EQ(stages[0].nodes.size() + stages[1].nodes.size(), layer().nodes.size());
  for (const graph::Block& stage : stages) {
    EXPECT_EQ(stage.name, "model.layers.0");
    EXPECT_EQ(stage.output, stage.nodes.back().output);
  }
}

TEST_F(Stages, OneAfterTheOtherAreTheLayerBitByBit) {
  forward::BlockWeights weights = *forward::LoadBlock(model_->checkpoint, layer());
  forward::BlockRunner runner(*cpu_.backend, model_->shape());
  tensor::Matrix hidden = testing::MadeInputs("hidden", 4 * 16, model_->shape().width);
  const tensor::Matrix expected = *runner.Run(layer(), weights, hidden, 4);
  for (const graph::Block& stage : StagesOf(layer())) {
    hidden = *runner.Run(stage, TakeWeights(stage, weights), hidden, 4);
  }
  EXPECT_TRUE(weights.empty());
  ASSERT_EQ(hidden.rows(), expected.rows());
  for (std::int64_t i = 0; i < hidden.rows() * hidden.columns(); ++i) {
    ASSERT_EQ(hidden.data()[i], expected.data()[i]) << i;
  }
}

TEST(StagesOfABlock, IsOneWhereEverythingReadsTheInputToTheEnd) {
  graph::Block block{"parallel", {{"x", 8}, {"a", 8}, {"b", 8}, {"sum", 8}, {"out", 8}}, {}, 4};
  block.nodes = {{graph::Op::kLinear, {0}, 1, "a"},
                 {graph::Op::kLinear, {0}, 2, "b"},
                 {graph::Op::kAdd, {1, 2}, 3, ""},
                 {graph::Op::kAdd, {0, 3}, 4, ""}};
  const std::vector<graph::Block> stages = StagesOf(block);
  ASSERT_EQ(stages.size(), 1U);
  EXPECT_EQ(stages[0].nodes.size(), 4U);
  EXPECT_EQ(stages[0].output, 4);
}

}  // namespace
}  // namespace tyllm::quant
