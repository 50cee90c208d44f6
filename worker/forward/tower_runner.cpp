// SPDX-License-Identifier: Apache-2.0
#include "worker/forward/tower_runner.h"

#include <algorithm>
#include <utility>

#include "worker/tensor/tower_ops.h"

namespace tyllm::forward {

using graph::Op;

/// A node's weights, where it has any.
struct TowerRunner::NodeWeights {
  const tensor::Matrix* matrix = nullptr;
  std::span<const float> bias;
};

/// One run of a block.
struct TowerRunner::Call {
  const graph::Block& block;
  const BlockWeights& weights;
  const graph::TowerLayout& layout;
  const tensor::Matrix& input;
  std::vector<tensor::Matrix> values = {};
  std::vector<int> readers = {};

  const tensor::Matrix& Value(graph::ValueId id) const {
    return id == 0 ? input : values[static_cast<std::size_t>(id)];
  }

  tensor::MatrixView Input(const graph::Node& node, std::size_t i) const {
    return Value(node.inputs[i]).view();
  }

  /// What the node has of weights; pointers into `weights`.
  Result<NodeWeights> WeightsOf(const graph::Node& node) const {
    NodeWeights found;
    if (!node.weight.empty()) {
      TYLLM_ASSIGN(found.matrix, Weight(node.weight));
    }
    if (!node.bias.empty()) {
      TYLLM_ASSIGN(const tensor::Matrix* row, Weight(node.bias));
      found.bias = row->numbers();
    }
    return found;
  }

  Result<const tensor::Matrix*> Weight(const std::string& name) const {
    const auto found = weights.find(name);
    if (found == weights.end()) {
      return Internal("block " + block.name + " was run without its weight " + name);
    }
    return &found->second;
  }

  void CountReaders() {
    values.resize(block.values.size());
    readers.assign(block.values.size(), 0);
    for (const graph::Node& node : block.nodes) {
      for (const graph::ValueId id : node.inputs) {
        ++readers[static_cast<std::size_t>(id)];
      }
    }
    ++readers[static_cast<std::size_t>(block.output)];
  }

  /// Gives back the inputs that no later node reads.
  void Release(const graph::Node& node, Workspace& workspace) {
    for (const graph::ValueId id : node.inputs) {
      if (--readers[static_cast<std::size_t>(id)] == 0 && id != 0) {
        workspace.GiveBack(std::exchange(values[static_cast<std::size_t>(id)], {}));
      }
    }
  }
};

namespace {

tensor::MatrixView RotationsOf(const graph::TowerLayout& layout, std::int64_t head_size) {
  return {layout.rotations.data(), std::ssize(layout.rotations) / head_size, head_size};
}

tensor::Gelu GeluOf(Op op) {
  return op == Op::kGeluTanh    ? tensor::Gelu::kTanh
         : op == Op::kQuickGelu ? tensor::Gelu::kQuick
                                : tensor::Gelu::kErf;
}

/// The same numbers with another width.
tensor::MatrixView Merged(tensor::MatrixView x, std::int64_t columns) {
  return {x.data, x.rows * x.columns / columns, columns};
}

}  // namespace

Result<TowerRunner> TowerRunner::Make(tensor::Backend& backend, const model::VisionShape& shape) {
  if (tensor::FindTowerOps(backend) == nullptr) {
    return Unimplemented("back end '" + std::string(backend.name()) +
                         "' cannot run visual towers; use --device cpu");
  }
  return TowerRunner(backend, shape);
}

Result<tensor::Matrix> TowerRunner::Run(const graph::Block& block, const BlockWeights& weights,
                                        const tensor::Matrix& input,
                                        const graph::TowerLayout& layout) {
  Call call{.block = block, .weights = weights, .layout = layout, .input = input};
  call.CountReaders();
  workspace_.PrepareFor(input.rows());
  for (const graph::Node& node : block.nodes) {
    const std::int64_t columns = block.values[static_cast<std::size_t>(node.output)].columns;
    tensor::Matrix out = workspace_.Take(input.rows(), columns);
    TYLLM_TRY(RunNode(call, node, out).Annotate("block " + block.name));
    call.values[static_cast<std::size_t>(node.output)] = std::move(out);
    call.Release(node, workspace_);
  }
  return std::move(call.values[static_cast<std::size_t>(block.output)]);
}

Status TowerRunner::RunLinear(Call& call, const graph::Node& node, const NodeWeights& weights,
                              tensor::Matrix& out) {
  const std::int64_t rows = weights.matrix->rows() / node.parts;
  std::span<const float> bias = weights.bias;
  if (!bias.empty()) {
    bias = bias.subspan(static_cast<std::size_t>(node.part * rows), static_cast<std::size_t>(rows));
  }
  backend_->Linear(call.Input(node, 0), weights.matrix->rows(node.part * rows, rows), bias, out);
  return OkStatus();
}

Status TowerRunner::RunNode(Call& call, const graph::Node& node, tensor::Matrix& out) {
  tensor::TowerOps& ops = *tensor::FindTowerOps(*backend_);
  const graph::TowerLayout& layout = call.layout;
  TYLLM_ASSIGN(const NodeWeights weights, call.WeightsOf(node));
  const tensor::MatrixView x = call.Input(node, 0);
  switch (node.op) {
    case Op::kLinear:
      return RunLinear(call, node, weights, out);
    case Op::kRmsNorm:
      backend_->RmsNorm(x, weights.matrix->numbers(), model::VisionShape::kNormEpsilon, out);
      break;
    case Op::kLayerNorm:
      ops.LayerNorm(x, weights.matrix->numbers(), weights.bias, model::VisionShape::kNormEpsilon,
                    out);
      break;
    case Op::kRope:
      backend_->Copy(x, out);
      ops.RotateBy(RotationsOf(layout, shape_->head_size()), shape_->head_size(), out);
      break;
    case Op::kFrameAttention:
    case Op::kWindowAttention:
      ops.AttendWithin(node.op == Op::kFrameAttention ? layout.frame_ends : layout.window_ends,
                       shape_->heads, x, call.Input(node, 1), call.Input(node, 2), out);
      break;
    case Op::kSiluMul:
      backend_->SiluMul(x, call.Input(node, 1), out);
      break;
    case Op::kAdd:
      backend_->Add(x, call.Input(node, 1), out);
      break;
    case Op::kGelu:
    case Op::kGeluTanh:
    case Op::kQuickGelu:
      ops.ApplyGelu(GeluOf(node.op), x, out);
      break;
    case Op::kGridEmbedding:
      ops.MixRows(weights.matrix->view(), layout.grid_rows, layout.grid_weights, 4, out);
      break;
    case Op::kToWindows:
      backend_->Embed(x, layout.to_windows, out);
      break;
    case Op::kFromWindows:
      backend_->Embed(x, layout.from_windows, out);
      break;
    case Op::kMerge:
      backend_->Copy(Merged(x, call.block.values[static_cast<std::size_t>(node.output)].columns),
                     out);
      break;
    case Op::kEmbed:
    case Op::kHeadRmsNorm:
    case Op::kAttention:
      return Internal("operation " + std::string(graph::kOpNames.Name(node.op)) +
                      " is not one of visual towers");
  }
  return OkStatus();
}

}  // namespace tyllm::forward
