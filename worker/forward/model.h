// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "worker/graph/graph.h"
#include "worker/model/checkpoint.h"

namespace tyllm::forward {

/// A model directory that is ready to run: its checkpoint, opened, and its graph. No weights are
/// in memory.
struct Model {
  model::Checkpoint checkpoint;
  graph::Graph graph;

  const model::ModelShape& shape() const { return graph.shape; }

  /// The embedding and the decoder layers, in the order in which they run.
  std::vector<const graph::Block*> BodyBlocks() const;
};

Result<Model> OpenModel(const Path& directory);

}  // namespace tyllm::forward
