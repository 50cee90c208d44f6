// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "worker/tensor/matrix.h"
#include "worker/tensor/task_lanes.h"

namespace tyllm::quant {

/// What errors of a linear layer's weights cost, ready for rounding one column after another.
/// Columns are treated in an order of their own: a group stays together, the groups with the
/// strongest inputs come first, and so do the strongest columns of each. (GPTQ's "act-order" as far
/// as it needs no permutation in the file.) Everything here is in that order.
struct InputMetric {
  std::vector<std::int64_t> columns;  ///< columns[i] is the one that is treated i-th
  tensor::Matrix gram;                ///< G [n, n]
  /// G with damping is (I + F) diag(cost) (I + F)^T, F strictly upper triangular (what is below the
  /// diagonal means nothing). So e G e^T is the sum over k of cost[k] * (e[k] + sum over j < k of
  /// e[j] F[j][k])^2: an error in column j is made good in column k by moving it by -e[j] F[j][k].
  tensor::Matrix feedback;
  std::vector<float> cost;
  std::int64_t group = 0;

  std::int64_t width() const { return gram.columns(); }
};

/// The order in which columns are treated, for a Gram matrix with this diagonal and divided inputs.
std::vector<std::int64_t> TreatmentOrder(std::span<const float> diagonal,
                                         std::span<const float> scales, std::int64_t group);
/// Mean of a diagonal; 1 where it is not positive.
double MeanDiagonal(std::span<const float> diagonal);

/// U with gram + damping = U U^T: a hundredth of the mean diagonal, and ten times as much where
/// float32 needs more, until it is enough. What is below the diagonal means nothing. `gram` is
/// finite; otherwise the result is the identity.
tensor::Matrix DampedFactor(const tensor::Matrix& gram, tensor::TaskLanes& lanes);

/// Of inputs with the Gram matrix `gram` [n, n] that were divided by `scales` [n].
InputMetric MakeInputMetric(const tensor::Matrix& gram, std::span<const float> scales,
                            std::int64_t group, tensor::TaskLanes& lanes);

}  // namespace tyllm::quant
