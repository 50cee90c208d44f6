// SPDX-License-Identifier: Apache-2.0
#include "worker/plan/checkpoint_formats.h"

#include <algorithm>

namespace tyllm::plan {

WeightFormats FormatsOf(const model::Checkpoint& checkpoint, const graph::Graph& graph) {
  WeightFormats formats;
  formats.group = checkpoint.group_size();
  const auto look = [&](const graph::Block& block) {
    for (const graph::Node& node : block.nodes) {
      if (node.op == graph::Op::kLinear && !checkpoint.IsQuantized(node.weight)) {
        formats.float_linears.insert(node.weight);
      }
    }
  };
  std::for_each(graph.layers.begin(), graph.layers.end(), look);
  look(graph.head);
  return formats;
}

}  // namespace tyllm::plan
