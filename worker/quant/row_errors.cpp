// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "worker/quant/coded_linear.h"
#include "worker/quant/row_products.h"

namespace tyllm::quant {

std::vector<double> RowErrors(tensor::MatrixView difference, tensor::MatrixView gram,
                              tensor::TaskLanes& lanes) {
  std::vector<double> errors(static_cast<std::size_t>(difference.rows));
  const std::int64_t tiles = (difference.rows + kTileRows - 1) / kTileRows;
  lanes.ForEach(tiles, [&](std::int64_t tile, std::vector<float>& scratch) {
    const std::int64_t first = tile * kTileRows;
    const std::int64_t rows = std::min(kTileRows, difference.rows - first);
    QuadraticForms(
        difference.data + first * difference.columns, rows, gram, scratch,
        std::span(errors).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(rows)));
  });
  return errors;
}

}  // namespace tyllm::quant
