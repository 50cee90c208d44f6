// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "worker/forward/block_runner.h"
#include "worker/quant/layer_quantizer.h"

namespace tyllm::quant {

/// Whether the embedded tokens [tokens, width] of a batch are finite: one NaN among them would
/// reach the statistics of every layer. `table` is the tensor that they were read from; the error
/// names it and the token.
Status CheckEmbedded(const std::string& table, const forward::TokenBatch& batch,
                     const tensor::Matrix& hidden, const LayerMachine& machine);

/// Whether what calibration says of a stage is finite: weights that are finite and yet overflow
/// float32 between them make statistics that nothing can be rounded by. The error names the linear
/// that reads the input.
Status CheckStatistics(const graph::Block& stage, const LayerStatistics& statistics,
                       const LayerMachine& machine);

}  // namespace tyllm::quant
