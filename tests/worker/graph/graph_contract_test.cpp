// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "worker/graph/graph.h"
#include "worker/model/families.h"
#include "worker/model/tensor_inventory.h"

// What the graph of every family promises to its readers (forward, quant, compile).
namespace tyllm::graph {
namespace {

model::ModelShape ShapeOf(const model::Family& family, bool tied) {
  const format::Json config{{"architectures", {family.architecture}},
                            {"hidden_size", 96},
                            {"num_hidden_layers", 3},
                            {"num_attention_heads", 6},
                            {"num_key_value_heads", 2},
                            {"head_dim", 32},
                            {"intermediate_size", 160},
                            {"vocab_size", 40},
                            {"max_position_embeddings", 128},
                            {"rms_norm_eps", 1e-5},
                            {"rope_theta", 10000.0},
                            {"hidden_act", "silu"},
                            {"tie_word_embeddings", tied}};
  return *model::ParseShape(config, "config.json");
}

class GraphContract : public ::testing::TestWithParam<std::tuple<const model::Family*, bool>> {
 protected:
  model::ModelShape shape_ = ShapeOf(*std::get<0>(GetParam()), std::get<1>(GetParam()));
  Graph graph_ = BuildGraph(shape_);

  std::vector<const Block*> Blocks() const {
    std::vector<const Block*> blocks{&graph_.embedding};
    for (const Block& layer : graph_.layers) {
      blocks.push_back(&layer);
    }
    blocks.push_back(&graph_.head);
    return blocks;
  }

  static std::int64_t Columns(const Block& block, ValueId value) {
    return block.values.at(static_cast<std::size_t>(value)).columns;
  }

  /// Expects that the columns of a node's values are what its op makes of them.
  void CheckColumns(const Block& block, const Node& node) const {
    const std::int64_t out = Columns(block, node.output);
    const auto in = [&](std::size_t i) { return Columns(block, node.inputs.at(i)); };
    switch (node.op) {
      case Op::kEmbed:
        EXPECT_EQ(in(0), 1);
        EXPECT_EQ(out, shape_.width);
        break;
      case Op::kLinear:
        break;  // against the inventory, below
      case Op::kRmsNorm:
        EXPECT_EQ(out, in(0));
        break;
      case Op::kHeadRmsNorm:
      case Op::kRope:
        EXPECT_EQ(out, in(0));
        EXPECT_EQ(out % shape_.head_size, 0);
        break;
      case Op::kAttention:
        EXPECT_EQ(node.inputs.size(), 3U);
        EXPECT_EQ(in(0), shape_.q_columns());
        EXPECT_EQ(in(1), shape_.kv_columns());
        EXPECT_EQ(in(2), shape_.kv_columns());
        EXPECT_EQ(out, shape_.q_columns());
        break;
      case Op::kSiluMul:
      case Op::kAdd:
        EXPECT_EQ(node.inputs.size(), 2U);
        EXPECT_EQ(in(0), in(1));
        EXPECT_EQ(out, in(0));
        break;
      case Op::kLayerNorm:
      case Op::kGelu:
      case Op::kGeluTanh:
      case Op::kQuickGelu:
      case Op::kGridEmbedding:
      case Op::kFrameAttention:
      case Op::kWindowAttention:
      case Op::kToWindows:
      case Op::kFromWindows:
      case Op::kMerge:
        ADD_FAILURE() << "a decoder has an operation of a visual tower";
    }
  }
};

INSTANTIATE_TEST_SUITE_P(All, GraphContract,
                         ::testing::Combine(::testing::ValuesIn(model::kFamilies),
                                            ::testing::Bool()));

TEST_P(GraphContract, NodesStandInAnOrderInWhichTheyCanRun) {
  for (const Block* const block : Blocks()) {
    std::set<ValueId> ready{0};
    for (const Node& node : block->nodes) {
      for (const ValueId input : node.inputs) {
        EXPECT_TRUE(ready.contains(input)) << block->name << ": " << node.weight;
      }
      EXPECT_TRUE(ready.insert(node.output).second) << "made twice: " << node.output;
    }
    EXPECT_EQ(ready.size(), block->values.size());
    EXPECT_TRUE(ready.contains(block->output));
  }
}

TEST_P(GraphContract, EveryValueButTheOutputIsUsed) {
  for (const Block* const block : Blocks()) {
    for (ValueId id = 0; id < static_cast<ValueId>(block->values.size()); ++id) {
      EXPECT_EQ(Consumers(*block, id).empty(), id == block->output);
      EXPECT_EQ(Producer(*block, id) == nullptr, id == 0);
    }
  }
}

TEST_P(GraphContract, ColumnsFollowFromTheOps) {
  for (const Block* const block : Blocks()) {
    for (const Node& node : block->nodes) {
      CheckColumns(*block, node);
    }
  }
}

TEST_P(GraphContract, BlocksPassOnTheHiddenState) {
  EXPECT_EQ(graph_.layers.size(), static_cast<std::size_t>(shape_.layers));
  EXPECT_EQ(Columns(graph_.embedding, graph_.embedding.output), shape_.width);
  for (const Block& layer : graph_.layers) {
    EXPECT_EQ(layer.values[0].columns, shape_.width);
    EXPECT_EQ(Columns(layer, layer.output), shape_.width);
  }
  EXPECT_EQ(graph_.head.values[0].columns, shape_.width);
  EXPECT_EQ(Columns(graph_.head, graph_.head.output), shape_.vocabulary);
}

TEST_P(GraphContract, UsesEachNeededTensorExactlyOnceWithItsShape) {
  std::map<std::string, model::NeededTensor> needed;
  for (const model::NeededTensor& tensor : model::NeededTensors(shape_)) {
    needed.emplace(tensor.name, tensor);
  }
  if (shape_.tied_head) {
    needed.emplace("lm_head",
                   model::NeededTensor{"lm_head", {shape_.vocabulary, shape_.width}, true});
  }
  const auto take = [&](const std::string& name) {
    const auto node = needed.extract(name);
    EXPECT_FALSE(node.empty()) << name << " is not needed, or used twice";
    return node.empty() ? model::NeededTensor() : node.mapped();
  };
  for (const Block* const block : Blocks()) {
    for (const Node& node : block->nodes) {
      const std::int64_t out = Columns(*block, node.output);
      if (!node.weight.empty()) {
        const model::NeededTensor weight = take(node.weight);
        EXPECT_EQ(weight.is_linear, node.op == Op::kLinear) << node.weight;
        if (node.op == Op::kLinear) {
          EXPECT_EQ(weight.shape, (std::vector{out, Columns(*block, node.inputs[0])}));
        } else if (node.op == Op::kHeadRmsNorm) {
          EXPECT_EQ(weight.shape, std::vector{shape_.head_size});
        } else {
          EXPECT_EQ(weight.shape.back(), out);
        }
      }
      if (!node.bias.empty()) {
        EXPECT_EQ(take(node.bias).shape, std::vector{out});
      }
    }
  }
  EXPECT_TRUE(needed.empty()) << needed.begin()->first << " is needed, but no node uses it";
}

TEST_P(GraphContract, WeightsOfALayerBeginWithItsName) {
  for (const Block& layer : graph_.layers) {
    for (const Node& node : layer.nodes) {
      EXPECT_TRUE(node.weight.empty() || node.weight.starts_with(layer.name + ".")) << node.weight;
    }
  }
}

TEST(Qwen3Graph, NormalisesHeadsBeforeItRotatesThem) {
  const Graph graph = BuildGraph(ShapeOf(model::kQwen3, false));
  const Block& layer = graph.layers[1];
  for (const char* const norm :
       {"model.layers.1.self_attn.q_norm.weight", "model.layers.1.self_attn.k_norm.weight"}) {
    const Node* found = nullptr;
    for (const Node& node : layer.nodes) {
      found = node.weight == norm ? &node : found;
    }
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->op, Op::kHeadRmsNorm);
    EXPECT_EQ(Producer(layer, found->inputs[0])->op, Op::kLinear);
    EXPECT_EQ(Consumers(layer, found->output).at(0)->op, Op::kRope);
  }
}

TEST(Graph, BiasesAreNamedWhereTheShapeHasThem) {
  model::ModelShape shape = ShapeOf(model::kQwen3, false);
  shape.qkv_bias = true;
  const Graph graph = BuildGraph(shape);
  int biases = 0;
  for (const Node& node : graph.layers[0].nodes) {
    if (!node.bias.empty()) {
      EXPECT_EQ(node.bias, node.weight + ".bias");
      ++biases;
    }
  }
  EXPECT_EQ(biases, 3);
}

}  // namespace
}  // namespace tyllm::graph
