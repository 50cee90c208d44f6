// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "worker/model/quantized_matrix.h"
#include "worker/quant/affine_grid.h"
#include "worker/tensor/matrix.h"

namespace tyllm::quant {

/// A matrix of the given shape with room for its numbers.
model::QuantizedMatrix EmptyQuantizedMatrix(std::int64_t rows, std::int64_t columns,
                                            std::int64_t group);

/// Writes codes, zero point and scale of one group of one row. Codes are rounded with
/// `grid.scale`; `stored_scale` is what the file gets.
void StoreGroup(std::span<const float> weights, AffineGrid grid, float stored_scale,
                std::int64_t row, std::int64_t group, model::QuantizedMatrix& matrix);

}  // namespace tyllm::quant
