// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "worker/model/quantized_matrix.h"
#include "worker/tensor/matrix.h"
#include "worker/tensor/task_lanes.h"

namespace tyllm::quant {

/// What a person wants to know of the integers of a linear layer.
struct CodeFacts {
  /// Weights that lie beyond their grid's ends by more than half a step.
  std::int64_t saturated = 0;
  /// For each group of input columns: the sum over rows and columns of error^2 times the mean
  /// square of the input. What errors make good in each other is not in it.
  std::vector<double> group_errors;
};

/// `energy` [columns]: mean squares of the inputs; empty: 1. The same whatever the threads.
CodeFacts DescribeCodes(tensor::MatrixView weights, const model::QuantizedMatrix& matrix,
                        std::span<const float> energy, tensor::TaskLanes& lanes);

}  // namespace tyllm::quant
