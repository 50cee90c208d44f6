// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/scale_search.h"

#include <algorithm>
#include <limits>

#include "common/base/status.h"
#include "worker/quant/affine_grid.h"
#include "worker/quant/grid_loops.h"
#include "worker/quant/row_products.h"

namespace tyllm::quant {

namespace {

/// Errors of one row after scaling, rounding and scaling back. `scaled` has room for a group.
void RowErrorsAfterScaling(std::span<const float> row, std::span<const float> scales,
                           std::span<const float> inverses, std::int64_t group,
                           std::span<float> scaled, float* errors) {
  const GridLoops& loops = GridLoopsForThisProcessor();
  const auto width = static_cast<std::int64_t>(row.size());
  for (std::int64_t first = 0; first < width; first += group) {
    for (std::int64_t i = 0; i < group; ++i) {
      const auto c = static_cast<std::size_t>(first + i);
      scaled[static_cast<std::size_t>(i)] = row[c] * scales[c];
    }
    const AffineGrid grid = MinMaxGrid(RangeOf(scaled));
    loops.errors(scaled.data(), group, grid.scale, grid.zero, errors + first);
    for (std::int64_t i = 0; i < group; ++i) {
      errors[first + i] *= inverses[static_cast<std::size_t>(first + i)];
    }
  }
}

/// Which rows of which linear one task treats.
struct RowRun {
  std::size_t linear = 0;
  std::int64_t first = 0;
  std::int64_t count = 0;
};

std::vector<RowRun> CutIntoRuns(std::span<const WeighedLinear> linears) {
  std::vector<RowRun> runs;
  for (std::size_t l = 0; l < linears.size(); ++l) {
    const std::int64_t rows = linears[l].weights.rows;
    for (std::int64_t first = 0; first < rows; first += kTileRows) {
      runs.push_back({l, first, std::min(kTileRows, rows - first)});
    }
  }
  return runs;
}

}  // namespace

double ScaledRoundingError(std::span<const WeighedLinear> linears, tensor::MatrixView gram,
                           std::span<const float> scales, std::int64_t group,
                           tensor::TaskLanes& lanes) {
  const std::vector<RowRun> runs = CutIntoRuns(linears);
  std::vector<float> inverses(scales.size());
  std::transform(scales.begin(), scales.end(), inverses.begin(), [](float s) { return 1.0F / s; });
  std::vector<double> sums(runs.size());
  lanes.ForEach(static_cast<std::int64_t>(runs.size()),
                [&](std::int64_t task, std::vector<float>& product) {
                  const RowRun& run = runs[static_cast<std::size_t>(task)];
                  const WeighedLinear& linear = linears[run.linear];
                  const std::int64_t width = linear.weights.columns;
                  std::vector<float> errors(static_cast<std::size_t>(run.count * width));
                  std::vector<float> scaled(static_cast<std::size_t>(group));
                  for (std::int64_t r = 0; r < run.count; ++r) {
                    RowErrorsAfterScaling(linear.weights.row(run.first + r), scales, inverses,
                                          group, scaled, errors.data() + r * width);
                  }
                  std::vector<double> forms(static_cast<std::size_t>(run.count));
                  QuadraticForms(errors.data(), run.count, gram, product, forms);
                  for (std::int64_t r = 0; r < run.count; ++r) {
                    sums[static_cast<std::size_t>(task)] +=
                        linear.row_weights[static_cast<std::size_t>(run.first + r)] *
                        forms[static_cast<std::size_t>(r)];
                  }
                });
  double total = 0.0;
  for (const double sum : sums) {
    total += sum;
  }
  return total;
}

const ScaleCandidate& BestScales(std::span<const ScaleCandidate> candidates,
                                 std::span<const WeighedLinear> linears, tensor::MatrixView gram,
                                 std::int64_t group, tensor::TaskLanes& lanes) {
  TYLLM_CHECK(!candidates.empty());
  const ScaleCandidate* best = &candidates.front();
  double best_error = std::numeric_limits<double>::infinity();
  for (const ScaleCandidate& candidate : candidates) {
    const double error = ScaledRoundingError(linears, gram, candidate.scales, group, lanes);
    if (error < best_error) {
      best = &candidate;
      best_error = error;
    }
  }
  return *best;
}

}  // namespace tyllm::quant
