// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/layer_stages.h"

#include <algorithm>
#include <utility>

namespace tyllm::quant {

namespace {

/// For each value the number of nodes that have run when nobody needs it any more.
std::vector<std::size_t> LastReads(const graph::Block& layer) {
  std::vector<std::size_t> reads(layer.values.size(), 0);
  for (std::size_t i = 0; i < layer.nodes.size(); ++i) {
    for (const graph::ValueId id : layer.nodes[i].inputs) {
      reads[static_cast<std::size_t>(id)] = i + 1;
    }
  }
  reads[static_cast<std::size_t>(layer.output)] = layer.nodes.size() + 1;
  return reads;
}

}  // namespace

std::vector<graph::Block> StagesOf(const graph::Block& layer) {
  const std::vector<std::size_t> reads = LastReads(layer);
  std::vector<graph::Block> stages;
  std::vector<graph::ValueId> made = {0};
  graph::ValueId input = 0;
  graph::Block stage{layer.name, layer.values, {}, 0};
  for (std::size_t i = 0; i < layer.nodes.size(); ++i) {
    graph::Node node = layer.nodes[i];
    std::ranges::replace(node.inputs, input, 0);
    const graph::ValueId output = node.output;
    made.push_back(output);
    stage.nodes.push_back(std::move(node));
    const bool is_all_that_is_read = std::ranges::all_of(made, [&](graph::ValueId id) {
      return id == output || reads[static_cast<std::size_t>(id)] <= i + 1;
    });
    if (is_all_that_is_read) {
      stage.output = output;
      stages.push_back(std::exchange(stage, {layer.name, layer.values, {}, 0}));
      input = output;
      made = {output};
    }
  }
  return stages;
}

forward::BlockWeights TakeWeights(const graph::Block& stage, forward::BlockWeights& of_layer) {
  forward::BlockWeights taken;
  for (const graph::Node& node : stage.nodes) {
    for (const std::string& name : {node.weight, node.bias}) {
      taken.insert(of_layer.extract(name));
    }
  }
  return taken;
}

}  // namespace tyllm::quant
