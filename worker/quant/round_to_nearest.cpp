// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "worker/quant/coded_linear.h"
#include "worker/quant/grid_codes.h"
#include "worker/quant/grid_loops.h"
#include "worker/quant/row_products.h"

namespace tyllm::quant {

CodedLinear RoundToNearest(tensor::MatrixView weights, tensor::MatrixView gram, std::int64_t group,
                           tensor::TaskLanes& lanes) {
  const GridLoops& loops = GridLoopsForThisProcessor();
  const std::int64_t width = weights.columns;
  CodedLinear coded;
  coded.matrix = EmptyQuantizedMatrix(weights.rows, width, group);
  coded.row_errors.resize(static_cast<std::size_t>(weights.rows));
  const std::int64_t tiles = (weights.rows + kTileRows - 1) / kTileRows;
  lanes.ForEach(tiles, [&](std::int64_t tile, std::vector<float>& scratch) {
    const std::int64_t first = tile * kTileRows;
    const std::int64_t rows = std::min(kTileRows, weights.rows - first);
    std::vector<float> errors(static_cast<std::size_t>(rows * width));
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t g = 0; g < coded.matrix.groups(); ++g) {
        const auto part = weights.row(first + r).subspan(static_cast<std::size_t>(g * group),
                                                         static_cast<std::size_t>(group));
        const AffineGrid grid = MinMaxGrid(RangeOf(part));
        StoreGroup(part, grid, grid.scale, first + r, g, coded.matrix);
        loops.errors(part.data(), group, grid.scale, grid.zero,
                     errors.data() + r * width + g * group);
      }
    }
    QuadraticForms(errors.data(), rows, gram, scratch,
                   std::span(coded.row_errors)
                       .subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(rows)));
  });
  coded.facts = DescribeCodes(weights, coded.matrix, Diagonal(gram), lanes);
  return coded;
}

}  // namespace tyllm::quant
