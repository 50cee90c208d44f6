// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "worker/quant/layer_kernels.h"
#include "worker/quant/scale_candidates.h"
#include "worker/quant/scale_search.h"

namespace tyllm::quant {

/// The candidate with the smallest error of scale_search.h; the first of equals. All candidates are
/// tried on a part of the rows (no less than 128 of each linear where there are as many), and the
/// best of those, with the first candidate, on all rows.
ScaleCandidate BestScales(std::span<const ScaleCandidate> candidates,
                          std::span<const WeighedLinear> linears, tensor::MatrixView gram,
                          std::int64_t group, const LayerMachine& machine);

}  // namespace tyllm::quant
