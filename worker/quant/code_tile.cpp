// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/code_tile.h"

#include <algorithm>
#include <cmath>

#include "common/format/float16.h"
#include "worker/quant/grid_loops.h"

namespace tyllm::quant {

namespace {

float Coded(std::uint8_t code, AffineGrid grid) {
  return (static_cast<float>(code) - grid.zero) * grid.scale;
}

}  // namespace

CodeTile::CodeTile(tensor::MatrixView weights, const InputMetric& metric, std::int64_t first_row)
    : metric_(metric),
      rows_(std::min(kTileRows, weights.rows - first_row)),
      width_(weights.columns),
      weights_(static_cast<std::size_t>(rows_ * width_)),
      errors_(weights_.size()),
      codes_(weights_.size()),
      grids_(static_cast<std::size_t>(rows_ * groups())) {
  for (std::int64_t r = 0; r < rows_; ++r) {
    const std::span<const float> row = weights.row(first_row + r);
    std::ranges::transform(metric.columns, weights_.begin() + r * width_,
                           [row](std::int64_t c) { return row[static_cast<std::size_t>(c)]; });
  }
}

void CodeTile::SetGrid(std::int64_t row, std::int64_t g, AffineGrid grid) {
  grids_[static_cast<std::size_t>(row * groups() + g)] = grid;
  const std::size_t first = At(row, g);
  for (std::size_t i = first; i < first + static_cast<std::size_t>(group()); ++i) {
    errors_[i] = Coded(codes_[i], grid) - weights_[i];
  }
}

void CodeTile::SetCode(std::int64_t row, std::int64_t g, std::int64_t i, std::uint8_t code) {
  const std::size_t at = At(row, g) + static_cast<std::size_t>(i);
  codes_[at] = code;
  errors_[at] = Coded(code, Grid(row, g)) - weights_[at];
}

void CodeTile::SetErrors(std::int64_t row, std::int64_t g, AffineGrid grid,
                         std::span<const float> errors) {
  const std::size_t first = At(row, g);
  for (std::size_t i = 0; i < errors.size(); ++i) {
    const float code = std::nearbyint((weights_[first + i] + errors[i]) / grid.scale) + grid.zero;
    codes_[first + i] = static_cast<std::uint8_t>(std::clamp(code, 0.0F, kLargestCode));
  }
  SetGrid(row, g, grid);
}

void CodeTile::RoundToNearest(std::int64_t row) {
  const GridLoops& loops = GridLoopsForThisProcessor();
  for (std::int64_t g = 0; g < groups(); ++g) {
    const std::span<const float> w(Weights(row, g), static_cast<std::size_t>(group()));
    const AffineGrid grid = MinMaxGrid(RangeOf(w));
    loops.round(w.data(), group(), grid.scale, grid.zero, &codes_[At(row, g)]);
    SetGrid(row, g, grid);
  }
}

void CodeTile::SumErrors(std::span<double> out, std::vector<float>& scratch) const {
  QuadraticForms(errors_.data(), rows_, metric_.gram.view(), scratch, out);
}

std::int64_t CodeTile::Store(std::int64_t first_row, model::QuantizedMatrix& matrix) const {
  std::int64_t narrowed = 0;
  for (std::int64_t r = 0; r < rows_; ++r) {
    const std::int64_t row = first_row + r;
    for (std::int64_t i = 0; i < width_; ++i) {
      const std::int64_t column = metric_.columns[static_cast<std::size_t>(i)];
      matrix.q[static_cast<std::size_t>(row * width_ + column)] =
          codes_[static_cast<std::size_t>(r * width_ + i)];
    }
    for (std::int64_t g = 0; g < groups(); ++g) {
      const std::int64_t place = metric_.columns[static_cast<std::size_t>(g * group())] / group();
      const auto cell = static_cast<std::size_t>(row * groups() + place);
      const AffineGrid grid = Grid(r, g);
      matrix.zero[cell] = static_cast<std::uint8_t>(grid.zero);
      matrix.scale[cell] = format::FloatToHalf(grid.scale);
      const WeightRange range =
          RangeOf(std::span(Weights(r, g), static_cast<std::size_t>(group())));
      narrowed += grid.scale < MinMaxGrid(range).scale ? 1 : 0;
    }
  }
  return narrowed;
}

}  // namespace tyllm::quant
