// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/forward/block_runner.h"
#include "worker/graph/tower.h"
#include "worker/graph/tower_layout.h"

namespace tyllm::forward {

/// Runs blocks of a visual tower on a backend. Not thread-safe. Memory of values that are no longer
/// read is used again by the next call with as many patches.
class TowerRunner {
 public:
  /// kUnimplemented where the back end has not got the operations of towers. Both outlive it.
  static Result<TowerRunner> Make(tensor::Backend& backend, const model::VisionShape& shape);

  /// One block over the patches of an image or video: `input` are the rows that its value 0 stands
  /// for, `layout` is that of the image's grid.
  Result<tensor::Matrix> Run(const graph::Block& block, const BlockWeights& weights,
                             const tensor::Matrix& input, const graph::TowerLayout& layout);

 private:
  struct Call;
  struct NodeWeights;

  TowerRunner(tensor::Backend& backend, const model::VisionShape& shape)
      : backend_(&backend), shape_(&shape) {}

  Status RunNode(Call& call, const graph::Node& node, tensor::Matrix& out);
  Status RunLinear(Call& call, const graph::Node& node, const NodeWeights& weights,
                   tensor::Matrix& out);

  tensor::Backend* backend_;
  const model::VisionShape* shape_;
  Workspace workspace_;
};

}  // namespace tyllm::forward
