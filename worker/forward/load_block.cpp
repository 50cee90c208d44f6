// SPDX-License-Identifier: Apache-2.0
#include <optional>

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
    case graph::Op::kGridEmbedding:
      return columns(node.output);
    case graph::Op::kRmsNorm:
    case graph::Op::kHeadRmsNorm:
    case graph::Op::kRope:
    case graph::Op::kAttention:
    case graph::Op::kSiluMul:
    case graph::Op::kAdd:
    case graph::Op::kLayerNorm:
    case graph::Op::kGelu:
    case graph::Op::kGeluTanh:
    case graph::Op::kQuickGelu:
    case graph::Op::kFrameAttention:
    case graph::Op::kWindowAttention:
    case graph::Op::kToWindows:
    case graph::Op::kFromWindows:
    case graph::Op::kMerge:
      return weights;
  }
  return weights;
}

std::optional<tensor::NumberFormat> NumberFormatOf(format::DType dtype) {
  if (dtype == format::DType::kF32) {
    return tensor::NumberFormat::kFloat32;
  }
  if (dtype == format::DType::kF16) {
    return tensor::NumberFormat::kFloat16;
  }
  if (dtype == format::DType::kBF16) {
    return tensor::NumberFormat::kBFloat16;
  }
  return std::nullopt;
}

/// Visual towers are never quantized, and their patch embedding is stored as a convolution.
Result<std::vector<float>> ReadWeight(const model::Checkpoint& checkpoint,
                                      const graph::Node& node) {
  if (node.op != graph::Op::kLinear) {
    return checkpoint.ReadFloats(node.weight);
  }
  return checkpoint.shape().names.IsVisual(node.weight)
             ? checkpoint.ReadFloats(node.weight + ".weight")
             : checkpoint.ReadLinear(node.weight);
}

Status LoadNode(const model::Checkpoint& checkpoint, const graph::Block& block,
                const graph::Node& node, BlockWeights& weights) {
  if (!node.weight.empty() && !weights.contains(node.weight)) {
    TYLLM_ASSIGN(std::vector<float> data, ReadWeight(checkpoint, node));
    const std::int64_t columns = WeightColumns(block, node, static_cast<std::int64_t>(data.size()));
    TYLLM_ASSIGN(weights[node.weight], AsRows(node.weight, std::move(data), columns));
    checkpoint.Forget(node.weight);
  }
  if (!node.bias.empty() && !weights.contains(node.bias)) {
    TYLLM_ASSIGN(std::vector<float> data, checkpoint.ReadFloats(node.bias));
    const auto columns = static_cast<std::int64_t>(data.size());
    TYLLM_ASSIGN(weights[node.bias], AsRows(node.bias, std::move(data), columns));
    checkpoint.Forget(node.bias);
  }
  return OkStatus();
}

/// A float tensor as it stands in its file, decoded where the backend computes; nothing when the
/// tensor has to be read and decoded here.
std::optional<tensor::Matrix> PlaceFromFile(tensor::Backend& backend,
                                            const model::Checkpoint& checkpoint,
                                            const graph::Block& block, const graph::Node& node) {
  if (node.op == graph::Op::kLinear && checkpoint.IsQuantized(node.weight)) {
    return std::nullopt;
  }
  std::vector<std::string> names = {node.weight};
  if (node.op == graph::Op::kLinear) {
    names = checkpoint.TensorsOf(node.weight);
  }
  if (names.size() != 1) {
    return std::nullopt;  // a tied head has no tensor of its own
  }
  const auto view = checkpoint.Find(names.front());
  const std::optional<tensor::NumberFormat> format =
      view.ok() ? NumberFormatOf(view->dtype) : std::nullopt;
  if (!format) {
    return std::nullopt;
  }
  const std::int64_t numbers = view->elements();
  const std::int64_t columns = WeightColumns(block, node, numbers);
  return columns <= 0 || numbers % columns != 0
             ? std::nullopt
             : backend.PlaceEncoded(*format, view->bytes, numbers / columns, columns);
}

}  // namespace

Result<BlockWeights> LoadBlock(tensor::Backend& backend, const model::Checkpoint& checkpoint,
                               const graph::Block& block) {
  BlockWeights placed;
  for (const graph::Node& node : block.nodes) {
    if (node.weight.empty() || placed.contains(node.weight)) {
      continue;
    }
    if (auto matrix = PlaceFromFile(backend, checkpoint, block, node)) {
      placed.emplace(node.weight, *std::move(matrix));
      checkpoint.Forget(node.weight);
    }
  }
  for (const graph::Node& node : block.nodes) {
    if (Status status = LoadNode(checkpoint, block, node, placed); !status.ok()) {
      return status.Annotate("loading " + block.name);
    }
  }
  for (auto& [name, matrix] : placed) {
    if (!matrix.on_device()) {
      matrix = backend.Place(std::move(matrix));
    }
  }
  return placed;
}

Result<BlockWeights> LoadBlock(const model::Checkpoint& checkpoint, const graph::Block& block) {
  BlockWeights weights;
  for (const graph::Node& node : block.nodes) {
    if (Status status = LoadNode(checkpoint, block, node, weights); !status.ok()) {
      return status.Annotate("loading " + block.name);
    }
  }
  return weights;
}

}  // namespace tyllm::forward
