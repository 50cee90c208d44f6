// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "worker/quant/code_refinement.h"
#include "worker/quant/coded_linear.h"
#include "worker/quant/error_feedback.h"
#include "worker/quant/grid_codes.h"

namespace tyllm::quant {

namespace {

/// Codes of the tile's rows and their errors; a row that compensation does not help is rounded to
/// the nearest.
void CodeRows(CodeTile& tile, GridChoice choice, std::span<double> errors,
              std::vector<float>& scratch) {
  for (std::int64_t r = 0; r < tile.rows(); ++r) {
    tile.RoundToNearest(r);
  }
  std::vector<double> nearest(errors.size());
  tile.SumErrors(nearest, scratch);
  RoundWithFeedback(tile, choice);
  RefineCodes(tile, choice == GridChoice::kSearched);
  tile.SumErrors(errors, scratch);
  for (std::size_t r = 0; r < errors.size(); ++r) {
    if (!(errors[r] < nearest[r])) {
      tile.RoundToNearest(static_cast<std::int64_t>(r));
      errors[r] = nearest[r];
    }
  }
}

}  // namespace

CodedLinear CompensateErrors(tensor::MatrixView weights, const InputMetric& metric,
                             GridChoice choice, tensor::TaskLanes& lanes) {
  CodedLinear coded;
  coded.matrix = EmptyQuantizedMatrix(weights.rows, weights.columns, metric.group);
  coded.row_errors.resize(static_cast<std::size_t>(weights.rows));
  const std::int64_t tiles = (weights.rows + kTileRows - 1) / kTileRows;
  std::vector<std::int64_t> clipped(static_cast<std::size_t>(tiles));
  lanes.ForEach(tiles, [&](std::int64_t index, std::vector<float>& scratch) {
    const std::int64_t first = index * kTileRows;
    CodeTile tile(weights, metric, first);
    CodeRows(tile, choice,
             std::span(coded.row_errors)
                 .subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(tile.rows())),
             scratch);
    clipped[static_cast<std::size_t>(index)] = tile.Store(first, coded.matrix);
  });
  coded.clipped_groups = std::accumulate(clipped.begin(), clipped.end(), std::int64_t{0});
  std::vector<float> energy(metric.columns.size());
  for (std::size_t i = 0; i < energy.size(); ++i) {
    energy[static_cast<std::size_t>(metric.columns[i])] =
        metric.gram.row(static_cast<std::int64_t>(i))[i];
  }
  coded.facts = DescribeCodes(weights, coded.matrix, energy, lanes);
  return coded;
}

}  // namespace tyllm::quant
