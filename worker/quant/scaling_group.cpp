// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/scaling_group.h"

#include <algorithm>
#include <numeric>

namespace tyllm::quant {

namespace {

using graph::Block;
using graph::Node;
using graph::Op;

bool OnlyLinearsRead(const Block& block, graph::ValueId value) {
  const std::vector<const Node*> consumers = graph::Consumers(block, value);
  return value != block.output &&
         std::all_of(consumers.begin(), consumers.end(),
                     [](const Node* node) { return node->op == Op::kLinear; });
}

/// How many inputs of nodes `value` is.
std::int64_t Uses(const Block& block, graph::ValueId value) {
  std::int64_t uses = value == block.output ? 1 : 0;
  for (const Node& node : block.nodes) {
    uses += std::count(node.inputs.begin(), node.inputs.end(), value);
  }
  return uses;
}

/// The linear layer that makes `value`, if it is read in one place only.
const Node* SoleUseOfLinear(const Block& block, graph::ValueId value) {
  const Node* node = graph::Producer(block, value);
  const bool fits = node != nullptr && node->op == Op::kLinear && Uses(block, value) == 1;
  return fits ? node : nullptr;
}

void UseProducer(const Node& node, Producer kind, std::vector<std::int64_t> channel,
                 std::int64_t channels, ScalingGroup& group) {
  group.producer = kind;
  group.producer_weight = node.weight;
  group.producer_bias = node.bias;
  group.channel = std::move(channel);
  group.channels = channels;
}

/// Column h * head_size + i of the attention's output comes from row kv(h) * head_size + i of v.
std::vector<std::int64_t> ValueRows(const model::ModelShape& shape) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(shape.q_columns()));
  for (std::size_t c = 0; c < rows.size(); ++c) {
    const auto column = static_cast<std::int64_t>(c);
    const std::int64_t head = column / shape.head_size;
    rows[c] = head / shape.queries_per_kv() * shape.head_size + column % shape.head_size;
  }
  return rows;
}

void FindProducer(const Block& block, const model::ModelShape& shape, ScalingGroup& group) {
  const auto columns = block.values[static_cast<std::size_t>(group.input)].columns;
  std::vector<std::int64_t> same(static_cast<std::size_t>(columns));
  std::iota(same.begin(), same.end(), std::int64_t{0});
  group.channel = same;
  group.channels = columns;
  const Node* made_by = graph::Producer(block, group.input);
  if (made_by == nullptr || !OnlyLinearsRead(block, group.input)) {
    return;
  }
  switch (made_by->op) {
    case Op::kRmsNorm:
      UseProducer(*made_by, Producer::kNorm, std::move(same), columns, group);
      return;
    case Op::kAttention:
      if (const Node* v = SoleUseOfLinear(block, made_by->inputs[2])) {
        UseProducer(*v, Producer::kLinear, ValueRows(shape), shape.kv_columns(), group);
      }
      return;
    case Op::kSiluMul:
      if (const Node* up = SoleUseOfLinear(block, made_by->inputs[1])) {
        UseProducer(*up, Producer::kLinear, std::move(same), columns, group);
      }
      return;
    case Op::kEmbed:
    case Op::kHeadRmsNorm:
    case Op::kLinear:
    case Op::kRope:
    case Op::kAdd:
    case Op::kLayerNorm:  // of visual towers, which are not quantized
    case Op::kGelu:
    case Op::kGeluTanh:
    case Op::kQuickGelu:
    case Op::kGridEmbedding:
    case Op::kFrameAttention:
    case Op::kWindowAttention:
    case Op::kToWindows:
    case Op::kFromWindows:
    case Op::kMerge:
      return;
  }
}

}  // namespace

std::vector<ScalingGroup> FindScalingGroups(const Block& block, const model::ModelShape& shape) {
  std::vector<ScalingGroup> groups;
  for (const Node& node : block.nodes) {
    if (node.op != Op::kLinear) {
      continue;
    }
    const graph::ValueId input = node.inputs.front();
    const auto known = std::find_if(groups.begin(), groups.end(),
                                    [input](const ScalingGroup& g) { return g.input == input; });
    if (known != groups.end()) {
      known->linears.push_back(node.weight);
      continue;
    }
    ScalingGroup group;
    group.input = input;
    group.linears = {node.weight};
    FindProducer(block, shape, group);
    groups.push_back(std::move(group));
  }
  return groups;
}

}  // namespace tyllm::quant
