// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "worker/forward/block_runner.h"
#include "worker/graph/graph.h"

namespace tyllm::quant {

/// A decoder layer cut wherever a single value is all that later nodes read, as it is after each
/// sum with the hidden states: attention, and the MLP. Each is a block whose value 0 is the output
/// of the one before; values and nodes are otherwise the layer's, with its numbers and its name.
std::vector<graph::Block> StagesOf(const graph::Block& layer);

/// What the nodes of a stage need, out of a layer's weights.
forward::BlockWeights TakeWeights(const graph::Block& stage, forward::BlockWeights& of_layer);

}  // namespace tyllm::quant
