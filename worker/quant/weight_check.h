// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/forward/block_runner.h"
#include "worker/quant/layer_kernels.h"

namespace tyllm::quant {

/// Whether the output can hold a layer's weights: linears in 4 bits with an fp16 scale, all else,
/// biases too, in fp16. The error names the tensor and the number.
Status CheckWeights(const graph::Block& block, const forward::BlockWeights& weights,
                    const LayerMachine& machine);

}  // namespace tyllm::quant
