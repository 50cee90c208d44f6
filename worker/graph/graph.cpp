// SPDX-License-Identifier: Apache-2.0
#include "worker/graph/graph.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "worker/graph/block_builder.h"

namespace tyllm::graph {

namespace {

Block BuildEmbedding(const model::ModelShape& shape) {
  const std::string module(shape.names.embedding);
  BlockBuilder builder(module, "token_ids", 1);
  const ValueId hidden =
      builder.Add(Op::kEmbed, "hidden", shape.width, {BlockBuilder::kInput}, module + ".weight");
  return std::move(builder).Finish(hidden);
}

/// One decoder layer: names are completed with its prefix.
class LayerBuilder {
 public:
  LayerBuilder(const model::ModelShape& shape, std::int64_t layer)
      : shape_(shape), layer_(layer), builder_(shape.names.Layer(layer), "hidden", shape.width) {}

  Block Build() && {
    const ValueId attended = Attention(BlockBuilder::kInput);
    const ValueId output = Mlp(attended);
    return std::move(builder_).Finish(output);
  }

 private:
  std::string Module(std::string_view module) const { return shape_.names.InLayer(layer_, module); }

  ValueId Norm(Op op, std::string output, ValueId input, std::string_view module) {
    return builder_.AddAlike(op, std::move(output), {input}, Module(module) + ".weight");
  }

  ValueId Linear(std::string output, std::int64_t columns, ValueId input, std::string_view module,
                 bool bias = false) {
    const std::string name = Module(module);
    return builder_.Add(Op::kLinear, std::move(output), columns, {input}, name,
                        bias ? name + ".bias" : std::string());
  }

  /// The query or key of each head, normalised where the family does so, then rotated.
  ValueId Rotated(const std::string& name, std::int64_t columns, ValueId input,
                  std::string_view projection, std::string_view norm) {
    ValueId value = Linear(name, columns, input, projection, shape_.qkv_bias);
    if (shape_.qk_norm) {
      value = Norm(Op::kHeadRmsNorm, name + "_normed", value, norm);
    }
    return builder_.AddAlike(Op::kRope, name + "_rotated", {value});
  }

  ValueId Attention(ValueId hidden) {
    const model::DecoderNames& names = shape_.names;
    const ValueId normed = Norm(Op::kRmsNorm, "attention_input", hidden, names.attention_norm);
    const ValueId q = Rotated("q", shape_.q_columns(), normed, names.q, names.q_norm);
    const ValueId k = Rotated("k", shape_.kv_columns(), normed, names.k, names.k_norm);
    const ValueId v = Linear("v", shape_.kv_columns(), normed, names.v, shape_.qkv_bias);
    const ValueId heads = builder_.AddAlike(Op::kAttention, "attention", {q, k, v});
    const ValueId projected = Linear("attention_output", shape_.width, heads, names.o);
    return builder_.AddAlike(Op::kAdd, "attended", {hidden, projected});
  }

  ValueId Mlp(ValueId hidden) {
    const model::DecoderNames& names = shape_.names;
    const ValueId normed = Norm(Op::kRmsNorm, "mlp_input", hidden, names.mlp_norm);
    const ValueId gate = Linear("gate", shape_.intermediate, normed, names.gate);
    const ValueId up = Linear("up", shape_.intermediate, normed, names.up);
    const ValueId gated = builder_.AddAlike(Op::kSiluMul, "gated", {gate, up});
    const ValueId down = Linear("mlp_output", shape_.width, gated, names.down);
    return builder_.AddAlike(Op::kAdd, "output", {hidden, down});
  }

  const model::ModelShape& shape_;
  std::int64_t layer_;
  BlockBuilder builder_;
};

Block BuildHead(const model::ModelShape& shape) {
  const std::string head(shape.names.head);
  BlockBuilder builder(head, "hidden", shape.width);
  const ValueId normed = builder.AddAlike(Op::kRmsNorm, "normed", {BlockBuilder::kInput},
                                          std::string(shape.names.final_norm) + ".weight");
  const ValueId logits = builder.Add(Op::kLinear, "logits", shape.vocabulary, {normed}, head);
  return std::move(builder).Finish(logits);
}

}  // namespace

Graph BuildGraph(const model::ModelShape& shape) {
  Graph graph;
  graph.shape = shape;
  graph.embedding = BuildEmbedding(shape);
  for (std::int64_t layer = 0; layer < shape.layers; ++layer) {
    graph.layers.push_back(LayerBuilder(graph.shape, layer).Build());
  }
  graph.head = BuildHead(shape);
  return graph;
}

const Node* Producer(const Block& block, ValueId value) {
  for (const Node& node : block.nodes) {
    if (node.output == value) {
      return &node;
    }
  }
  return nullptr;
}

std::vector<const Node*> Consumers(const Block& block, ValueId value) {
  std::vector<const Node*> consumers;
  for (const Node& node : block.nodes) {
    if (std::find(node.inputs.begin(), node.inputs.end(), value) != node.inputs.end()) {
      consumers.push_back(&node);
    }
  }
  return consumers;
}

}  // namespace tyllm::graph
