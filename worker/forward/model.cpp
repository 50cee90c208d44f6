// SPDX-License-Identifier: Apache-2.0
#include "worker/forward/model.h"

#include <utility>

namespace tyllm::forward {

std::vector<const graph::Block*> Model::BodyBlocks() const {
  std::vector<const graph::Block*> blocks = {&graph.embedding};
  for (const graph::Block& layer : graph.layers) {
    blocks.push_back(&layer);
  }
  return blocks;
}

Result<Model> OpenModel(const Path& directory) {
  TYLLM_ASSIGN(model::Checkpoint checkpoint, model::Checkpoint::Open(directory));
  graph::Graph graph = graph::BuildGraph(checkpoint.shape());
  return Model{std::move(checkpoint), std::move(graph)};
}

}  // namespace tyllm::forward
