// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "worker/model/quantized_matrix.h"
#include "worker/quant/affine_grid.h"
#include "worker/quant/input_metric.h"
#include "worker/quant/row_products.h"

namespace tyllm::quant {

/// Up to kTileRows rows of a linear layer on their way to integers, their columns in the order of
/// an InputMetric, which outlives this. Codes, grids and errors always agree: an error is
/// (code - zero) * scale - weight.
class CodeTile {
 public:
  CodeTile(tensor::MatrixView weights, const InputMetric& metric, std::int64_t first_row);

  const InputMetric& metric() const { return metric_; }

  std::int64_t rows() const { return rows_; }

  std::int64_t width() const { return width_; }

  std::int64_t group() const { return metric_.group; }

  std::int64_t groups() const { return width_ / group(); }

  /// Of group `g` (in the order of treatment) of a row: `group()` numbers.
  const float* Weights(std::int64_t row, std::int64_t g) const { return &weights_[At(row, g)]; }

  const float* Errors(std::int64_t row, std::int64_t g) const { return &errors_[At(row, g)]; }

  const std::uint8_t* Codes(std::int64_t row, std::int64_t g) const { return &codes_[At(row, g)]; }

  AffineGrid Grid(std::int64_t row, std::int64_t g) const {
    return grids_[static_cast<std::size_t>(row * groups() + g)];
  }

  /// All errors [rows, width].
  const float* errors() const { return errors_.data(); }

  /// Another grid for the codes that the group has.
  void SetGrid(std::int64_t row, std::int64_t g, AffineGrid grid);
  /// Another code for column i of the group.
  void SetCode(std::int64_t row, std::int64_t g, std::int64_t i, std::uint8_t code);
  /// The group becomes weights + errors, which lie on `grid` but for rounding of the sums.
  void SetErrors(std::int64_t row, std::int64_t g, AffineGrid grid, std::span<const float> errors);
  /// Every group of the row on its min-max grid, each weight to the nearest.
  void RoundToNearest(std::int64_t row);

  /// e G e^T of each row.
  void SumErrors(std::span<double> out, std::vector<float>& scratch) const;
  /// Writes the rows in the layer's own order of columns. Gives the number of groups whose grid is
  /// narrower than their range.
  std::int64_t Store(std::int64_t first_row, model::QuantizedMatrix& matrix) const;

 private:
  std::size_t At(std::int64_t row, std::int64_t g) const {
    return static_cast<std::size_t>(row * width_ + g * group());
  }

  const InputMetric& metric_;
  std::int64_t rows_;
  std::int64_t width_;
  std::vector<float> weights_;
  std::vector<float> errors_;
  std::vector<std::uint8_t> codes_;
  std::vector<AffineGrid> grids_;
};

}  // namespace tyllm::quant
