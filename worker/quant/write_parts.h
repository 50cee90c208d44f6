// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/quant/layer_quantizer.h"
#include "worker/quant/part_files.h"
#include "worker/quant/quantize_plan.h"

namespace tyllm::quant {

/// Writes what belongs to no decoder layer, and what no part of the model uses: the first part and
/// the last, unless they are there.
Status WriteEnds(const model::Checkpoint& checkpoint, const QuantizePlan& plan,
                 tensor::TaskLanes& lanes, PartFiles& parts);

/// Writes a quantized layer as part `part`.
Status WriteLayer(const graph::Block& block, QuantizedLayer& layer, const QuantizePlan& plan,
                  std::size_t part, tensor::TaskLanes& lanes, PartFiles& parts);

}  // namespace tyllm::quant
