// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "worker/quant/scale_candidates.h"
#include "worker/tensor/matrix.h"
#include "worker/tensor/task_lanes.h"

namespace tyllm::quant {

/// A linear layer that shares its input, and so its scales, with others.
struct WeighedLinear {
  tensor::MatrixView weights;  ///< [out, in]
  /// How much a squared error of each output counts; [out].
  std::span<const double> row_weights;
};

/// For each candidate the sum over the linears and their rows of row_weight * e G e^T, where e is
/// the error of the weights after scaling, rounding to the nearest on min-max grids and scaling
/// back: what the layers' outputs would be wrong by. Costs one product of weights and Gram matrix
/// a candidate, no pass over tokens. Memory: kSearchedRows rows a thread.
std::vector<double> ScaledRoundingErrors(std::span<const ScaleCandidate> candidates,
                                         std::span<const WeighedLinear> linears,
                                         tensor::MatrixView gram, std::int64_t group,
                                         tensor::TaskLanes& lanes);

}  // namespace tyllm::quant
