// SPDX-License-Identifier: Apache-2.0
#include "worker/forward/block_runner.h"

namespace tyllm::forward {

namespace {

/// `data` as rows of `columns`.
Result<tensor::Matrix> AsRows(const std::string& name, std::vector<float> data,
                              std::int64_t columns) {
  const auto size = static_cast<std::int64_t>(data.size());
  if (columns <= 0 || size % columns != 0) {
    return InvalidArgument("tensor " + name + " holds " + std::to_string(size) +
                           " numbers, expected rows of " + std::to_string(columns));
  }
  return tensor::Matrix(size / columns, columns, std::move(data));
}

/// Columns of the matrix that a node's weight is.
std::int64_t WeightColumns(const graph::Block& block, const graph::Node& node,
                           std::int64_t weights) {
  const auto columns = [&](graph::ValueId id) {
    return block.values[static_cast<std::size_t>(id)].columns;
  };
  switch (node.op) {
    case graph::Op::kLinear:
      return columns(node.inputs.front());
    case graph::Op::kEmbed:
      return columns(node.output);
    case graph::Op::kRmsNorm:
    case graph::Op::kHeadRmsNorm:
    case graph::Op::kRope:
    case graph::Op::kAttention:
    case graph::Op::kSiluMul:
    case graph::Op::kAdd:
      return weights;
  }
  return weights;
}

Status LoadNode(const model::Checkpoint& checkpoint, const graph::Block& block,
                const graph::Node& node, BlockWeights& weights) {
  if (!node.weight.empty() && !weights.contains(node.weight)) {
    TYLLM_ASSIGN(std::vector<float> data, node.op == graph::Op::kLinear
                                              ? checkpoint.ReadLinear(node.weight)
                                              : checkpoint.ReadFloats(node.weight));
    const std::int64_t columns = WeightColumns(block, node, static_cast<std::int64_t>(data.size()));
    TYLLM_ASSIGN(weights[node.weight], AsRows(node.weight, std::move(data), columns));
  }
  if (!node.bias.empty()) {
    TYLLM_ASSIGN(std::vector<float> data, checkpoint.ReadFloats(node.bias));
    const auto columns = static_cast<std::int64_t>(data.size());
    TYLLM_ASSIGN(weights[node.bias], AsRows(node.bias, std::move(data), columns));
  }
  return OkStatus();
}

}  // namespace

Result<BlockWeights> LoadBlock(const model::Checkpoint& checkpoint, const graph::Block& block) {
  BlockWeights weights;
  for (const graph::Node& node : block.nodes) {
    if (Status status = LoadNode(checkpoint, block, node, weights); !status.ok()) {
      return status.Annotate("loading " + block.name);
    }
  }
  for (const auto& [name, matrix] : weights) {
    checkpoint.Forget(name);
  }
  return weights;
}

}  // namespace tyllm::forward
