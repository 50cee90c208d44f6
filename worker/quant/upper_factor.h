// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/tensor/matrix.h"
#include "worker/tensor/task_lanes.h"

namespace tyllm::quant {

/// Replaces the upper triangle of the symmetric `matrix` by U with matrix = U U^T, and leaves
/// anything below the diagonal. False, and rubbish in `matrix`, when it is not positive definite in
/// float32. Does not depend on the number of threads.
bool FactorUpper(tensor::Matrix& matrix, tensor::TaskLanes& lanes);

}  // namespace tyllm::quant
