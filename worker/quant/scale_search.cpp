// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/scale_search.h"

#include <algorithm>
#include <numeric>

#include "common/base/status.h"
#include "worker/quant/affine_grid.h"
#include "worker/quant/grid_loops.h"
#include "worker/quant/row_products.h"

namespace tyllm::quant {

namespace {

/// Rows that one task treats: its products read the Gram matrix once for all of them.
constexpr std::int64_t kSearchedRows = 128;

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
    for (std::int64_t first = 0; first < rows; first += kSearchedRows) {
      runs.push_back({l, first, std::min(kSearchedRows, rows - first)});
    }
  }
  return runs;
}

/// The part of an error that some rows of a linear are. `scratch` grows as needed.
double ErrorOfRun(const RowRun& run, const WeighedLinear& linear, tensor::MatrixView gram,
                  std::span<const float> scales, std::int64_t group, std::vector<float>& scratch) {
  const std::int64_t width = linear.weights.columns;
  std::vector<float> inverses(scales.size());
  std::ranges::transform(scales, inverses.begin(), [](float s) { return 1.0F / s; });
  std::vector<float> errors(static_cast<std::size_t>(run.count * width));
  std::vector<float> scaled(static_cast<std::size_t>(group));
  for (std::int64_t r = 0; r < run.count; ++r) {
    RowErrorsAfterScaling(linear.weights.row(run.first + r), scales, inverses, group, scaled,
                          errors.data() + r * width);
  }
  std::vector<double> forms(static_cast<std::size_t>(run.count));
  QuadraticForms(errors.data(), run.count, gram, scratch, forms);
  return std::inner_product(forms.begin(), forms.end(), linear.row_weights.begin() + run.first,
                            0.0);
}

}  // namespace

std::vector<double> ScaledRoundingErrors(std::span<const ScaleCandidate> candidates,
                                         std::span<const WeighedLinear> linears,
                                         tensor::MatrixView gram, std::int64_t group,
                                         tensor::TaskLanes& lanes) {
  const std::vector<RowRun> runs = CutIntoRuns(linears);
  std::vector<double> parts(candidates.size() * runs.size());
  lanes.ForEach(std::ssize(parts), [&](std::int64_t task, std::vector<float>& scratch) {
    const auto at = static_cast<std::size_t>(task);
    const RowRun& run = runs[at % runs.size()];
    parts[at] = ErrorOfRun(run, linears[run.linear], gram, candidates[at / runs.size()].scales,
                           group, scratch);
  });
  std::vector<double> errors;
  for (auto part = parts.begin(); part != parts.end(); part += std::ssize(runs)) {
    errors.push_back(std::accumulate(part, part + std::ssize(runs), 0.0));
  }
  return errors;
}

}  // namespace tyllm::quant
