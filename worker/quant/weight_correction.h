// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "worker/forward/block_runner.h"
#include "worker/quant/layer_quantizer.h"

namespace tyllm::quant {

/// Moves the weights of a stage's linears so that they make good what the layers before lost:
/// to the weights whose outputs of the quantized model's inputs are nearest to the float model's
/// (least squares, damped as an InputMetric is), as far as that is true of tokens it was not found
/// on. How far that is two halves of the tokens tell: each half's step is tried on the other one.
/// Gives, by module name, the share of the step that was taken, 0 to 1; linears that stay in float
/// are not moved. docs/adr/0068; the least squares are those of QEP (arXiv 2504.09629), with the
/// hidden states in the target as well.
std::map<std::string, double> CorrectWeights(
    const LayerTask& task, const std::map<graph::ValueId, InputStatistics>& inputs,
    StageDrift drift, forward::BlockWeights& weights, const LayerMachine& machine);

}  // namespace tyllm::quant
