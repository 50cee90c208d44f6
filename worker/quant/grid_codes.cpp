// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/grid_codes.h"

#include "common/format/float16.h"
#include "worker/quant/grid_loops.h"

namespace tyllm::quant {

model::QuantizedMatrix EmptyQuantizedMatrix(std::int64_t rows, std::int64_t columns,
                                            std::int64_t group) {
  model::QuantizedMatrix matrix;
  matrix.rows = rows;
  matrix.columns = columns;
  matrix.group = group;
  const auto cells = static_cast<std::size_t>(rows * matrix.groups());
  matrix.q.assign(static_cast<std::size_t>(rows * columns), 0);
  matrix.zero.resize(cells);
  matrix.scale.resize(cells);
  return matrix;
}

void StoreGroup(std::span<const float> weights, AffineGrid grid, float stored_scale,
                std::int64_t row, std::int64_t group, model::QuantizedMatrix& matrix) {
  const auto cell = static_cast<std::size_t>(row * matrix.groups() + group);
  matrix.zero[cell] = static_cast<std::uint8_t>(grid.zero);
  matrix.scale[cell] = format::FloatToHalf(stored_scale);
  GridLoopsForThisProcessor().round(weights.data(), matrix.group, grid.scale, grid.zero,
                                    matrix.q.data() + row * matrix.columns + group * matrix.group);
}

}  // namespace tyllm::quant
