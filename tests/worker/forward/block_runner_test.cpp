// SPDX-License-Identifier: Apache-2.0
#include "worker/forward/block_runner.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/worker/forward/golden.h"

namespace tyllm::forward {
namespace {

using testing::Golden;

class BlockRunnerTest : public ::testing::Test {
 protected:
  tensor::Matrix Embed(const TokenBatch& batch) {
    const BlockWeights weights =
        *LoadBlock(golden_.model.checkpoint, golden_.model.graph.embedding);
    return *runner_.RunEmbedding(golden_.model.graph.embedding, weights, batch);
  }

  Golden golden_ = Golden::Open("tiny-qwen3");
  std::unique_ptr<tensor::Backend> backend_ = *tensor::MakeBackend("cpu", 1);
  BlockRunner runner_{*backend_, golden_.model.shape()};
  const graph::Block& layer_ = golden_.model.graph.layers.front();
  BlockWeights weights_ = *LoadBlock(golden_.model.checkpoint, layer_);
};

TEST_F(BlockRunnerTest, LoadsExactlyWhatTheNodesUse) {
  std::set<std::string> expected;
  for (const graph::Node& node : layer_.nodes) {
    if (!node.weight.empty()) {
      expected.insert(node.weight);
    }
  }
  std::set<std::string> found;
  for (const auto& [name, matrix] : weights_) {
    found.insert(name);
  }
  EXPECT_EQ(found, expected);
  const tensor::Matrix& down = weights_.at("model.layers.0.mlp.down_proj");
  EXPECT_EQ(down.rows(), golden_.model.shape().width);
  EXPECT_EQ(down.columns(), golden_.model.shape().intermediate);
}

TEST_F(BlockRunnerTest, SequencesOfABatchDoNotSeeEachOther) {
  const std::vector<std::int32_t> ids = golden_.Ids("input_ids");
  TokenBatch both{.sequences = 2, .length = 20, .ids = ids};
  TokenBatch second{.sequences = 1, .length = 20, .ids = {ids.begin() + 20, ids.end()}};
  const auto a = runner_.Run(layer_, weights_, Embed(both), 2);
  const auto b = runner_.Run(layer_, weights_, Embed(second), 1);
  ASSERT_TRUE(a.ok() && b.ok());
  const std::vector<float> expected(b->data(), b->data() + b->rows() * b->columns());
  EXPECT_LT(testing::MaxDifference(a->row(20).data(), expected), 1e-5F);
}

TEST_F(BlockRunnerTest, SequencesOfDifferentLengthsGiveWhatEachGivesAlone) {
  const std::vector<std::int32_t> ids = golden_.Ids("input_ids");
  const std::vector<std::int64_t> lengths = {7, 7, 1, 25};
  const tensor::Matrix hidden =
      Embed({.sequences = 4, .length = 0, .ids = ids, .lengths = lengths});
  const auto together = runner_.Run(layer_, weights_, hidden, lengths);
  ASSERT_TRUE(together.ok()) << together.status().ToString();
  std::int64_t first = 0;
  for (const std::int64_t length : lengths) {
    tensor::Matrix part;
    part.AppendRows(hidden.rows(first, length));
    const auto alone = runner_.Run(layer_, weights_, part, 1);
    ASSERT_TRUE(alone.ok()) << alone.status().ToString();
    const std::vector<float> expected(alone->data(), alone->data() + length * alone->columns());
    EXPECT_LT(testing::MaxDifference(together->row(first).data(), expected), 1e-5F) << first;
    first += length;
  }
  EXPECT_EQ(together->rows(), 40);
}

TEST_F(BlockRunnerTest, ContinuingASequenceGivesWhatTheWholeGives) {
  const TokenBatch batch{.sequences = 1, .length = 40, .ids = golden_.Ids("input_ids")};
  const tensor::Matrix hidden = Embed(batch);
  const tensor::Matrix whole = *runner_.Run(layer_, weights_, hidden, 1);
  LayerCache cache;
  std::int64_t first = 0;
  for (const std::int64_t length : {16, 1, 1, 7, 15}) {
    tensor::Matrix part;
    part.AppendRows(hidden.rows(first, length));
    const auto out = runner_.Continue(layer_, weights_, part, cache);
    ASSERT_TRUE(out.ok()) << out.status().ToString();
    const std::vector<float> expected(whole.row(first).data(),
                                      whole.row(first).data() + length * whole.columns());
    EXPECT_LT(testing::MaxDifference(out->data(), expected), 1e-5F) << first;
    first += length;
  }
  EXPECT_EQ(cache.keys.rows(), 40);
}

TEST_F(BlockRunnerTest, ObserversSeeEveryNodeWithItsInputsStillThere) {
  const TokenBatch batch{.sequences = 2, .length = 20, .ids = golden_.Ids("input_ids")};
  std::vector<graph::Op> seen;
  const auto observer = [&](const graph::Node& node, std::span<const tensor::Matrix* const> inputs,
                            const tensor::Matrix& output) {
    seen.push_back(node.op);
    ASSERT_EQ(inputs.size(), node.inputs.size());
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      EXPECT_EQ(inputs[i]->rows(), 40);
      EXPECT_EQ(inputs[i]->columns(),
                layer_.values[static_cast<std::size_t>(node.inputs[i])].columns);
    }
    EXPECT_EQ(output.columns(), layer_.values[static_cast<std::size_t>(node.output)].columns);
  };
  ASSERT_TRUE(runner_.Run(layer_, weights_, Embed(batch), 2, observer).ok());
  EXPECT_EQ(seen.size(), layer_.nodes.size());
}

TEST_F(BlockRunnerTest, ATokenOutOfRangeIsNamed) {
  const BlockWeights weights = *LoadBlock(golden_.model.checkpoint, golden_.model.graph.embedding);
  for (const std::int32_t id : {512, -1, 1 << 30}) {
    const auto out = runner_.RunEmbedding(golden_.model.graph.embedding, weights,
                                          {.sequences = 1, .length = 3, .ids = {0, id, 1}});
    ASSERT_FALSE(out.ok());
    EXPECT_EQ(out.status().code(), StatusCode::kInvalidArgument);
    EXPECT_NE(out.status().message().find("token 1 has id " + std::to_string(id)),
              std::string::npos);
    EXPECT_NE(out.status().message().find("0 to 511"), std::string::npos);
  }
}

TEST_F(BlockRunnerTest, WeightsOfAnotherBlockAreAnErrorNotACrash) {
  const TokenBatch batch{.sequences = 1, .length = 4, .ids = {1, 2, 3, 4}};
  const auto out = runner_.Run(golden_.model.graph.layers[1], weights_, Embed(batch), 1);
  ASSERT_FALSE(out.ok());
  EXPECT_NE(out.status().message().find("model.layers.1"), std::string::npos);
}

}  // namespace
}  // namespace tyllm::forward
