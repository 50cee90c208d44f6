// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/cpu_layer_kernels.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <functional>
#include <numeric>

#include "worker/tensor/blas.h"

namespace tyllm::quant {

namespace {

using tensor::Matrix;
using tensor::MatrixView;

/// Columns that one task adds up, and rows that one task changes.
constexpr std::int64_t kColumnRun = 64;
constexpr std::int64_t kRowRun = 64;
/// Numbers that are added in single precision before their sum is.
constexpr std::int64_t kShortSum = 64;
/// Rows and columns of a product that one task computes.
constexpr std::int64_t kProductTile = 256;

}  // namespace

bool CpuLayerKernels::AllWithin(MatrixView matrix, float largest) {
  std::atomic<bool> within = true;
  lanes_.ForRuns(matrix.rows, kRowRun, [&](std::int64_t first, std::int64_t last) {
    const std::span<const float> numbers(matrix.data + first * matrix.columns,
                                         static_cast<std::size_t>((last - first) * matrix.columns));
    if (!std::ranges::all_of(numbers, [=](float x) { return std::fabs(x) <= largest; })) {
      within = false;
    }
  });
  return within;
}

void CpuLayerKernels::AddMagnitudes(MatrixView x, std::span<double> sums) {
  lanes_.ForRuns(x.columns, kColumnRun, [&](std::int64_t first, std::int64_t last) {
    std::array<float, kColumnRun> part{};
    for (std::int64_t begin = 0; begin < x.rows; begin += kShortSum) {
      part.fill(0.0F);
      for (std::int64_t r = begin; r < std::min(begin + kShortSum, x.rows); ++r) {
        const float* row = x.data + r * x.columns + first;
        for (std::int64_t c = 0; c < last - first; ++c) {
          part[static_cast<std::size_t>(c)] += std::fabs(row[c]);
        }
      }
      std::transform(part.begin(), part.begin() + (last - first), sums.begin() + first,
                     sums.begin() + first, [](float more, double sum) { return sum + more; });
    }
  });
}

void CpuLayerKernels::AddGateSquares(MatrixView gate, MatrixView up, std::int64_t stride,
                                     std::span<double> gate_sums, std::span<double> up_sums) {
  lanes_.ForRuns(gate.columns, kColumnRun, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = 0; r < gate.rows; r += stride) {
      for (std::int64_t c = first; c < last; ++c) {
        const auto i = static_cast<std::size_t>(c);
        const float g = gate.row(r)[i];
        const float sigmoid = 1.0F / (1.0F + std::exp(-g));
        const float slope = sigmoid * (1.0F + g * (1.0F - sigmoid)) * up.row(r)[i];
        const float silu = g * sigmoid;
        gate_sums[i] += slope * slope;
        up_sums[i] += silu * silu;
      }
    }
  });
}

void CpuLayerKernels::Scale(float factor, Matrix& matrix) {
  lanes_.ForRuns(matrix.rows(), kRowRun, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      for (float& number : matrix.row(r)) {
        number *= factor;
      }
    }
  });
}

void CpuLayerKernels::MultiplyColumns(std::span<const float> scales, Matrix& matrix) {
  lanes_.ForRuns(matrix.rows(), kRowRun, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      const std::span<float> row = matrix.row(r);
      for (std::size_t c = 0; c < row.size(); ++c) {
        row[c] *= scales[c];
      }
    }
  });
}

void CpuLayerKernels::DivideRows(std::span<const float> scales, Matrix& matrix) {
  lanes_.ForRuns(matrix.rows(), kRowRun, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      for (float& number : matrix.row(r)) {
        number /= scales[static_cast<std::size_t>(r)];
      }
    }
  });
}

std::vector<double> CpuLayerKernels::ColumnSquares(MatrixView matrix) {
  std::vector<double> squares(static_cast<std::size_t>(matrix.columns));
  lanes_.ForRuns(matrix.columns, kColumnRun, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = 0; r < matrix.rows; ++r) {
      const std::span<const float> row = matrix.row(r);
      for (auto c = static_cast<std::size_t>(first); c < static_cast<std::size_t>(last); ++c) {
        squares[c] += static_cast<double>(row[c]) * row[c];
      }
    }
  });
  return squares;
}

std::vector<float> CpuLayerKernels::MeanRelativeWeight(std::span<const MatrixView> weights,
                                                       std::int64_t group) {
  return quant::MeanRelativeWeight(weights, group);
}

std::vector<double> CpuLayerKernels::ScaledErrors(std::span<const ScaleCandidate> candidates,
                                                  std::span<const WeighedLinear> linears,
                                                  MatrixView gram, std::int64_t group) {
  return ScaledRoundingErrors(candidates, linears, gram, group, lanes_);
}

InputMetric CpuLayerKernels::MakeInputMetric(const Matrix& gram, std::span<const float> scales,
                                             std::int64_t group) {
  return quant::MakeInputMetric(gram, scales, group, lanes_);
}

Matrix CpuLayerKernels::DividedGram(const Matrix& gram, std::span<const float> scales) {
  Matrix result = gram;
  lanes_.ForRuns(result.rows(), kRowRun, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      const float row_scale = scales[static_cast<std::size_t>(r)];
      const std::span<float> row = result.row(r);
      for (std::size_t c = 0; c < row.size(); ++c) {
        row[c] /= row_scale * scales[c];
      }
    }
  });
  return result;
}

CodedLinear CpuLayerKernels::RoundToNearest(MatrixView weights, MatrixView gram,
                                            std::int64_t group) {
  return quant::RoundToNearest(weights, gram, group, lanes_);
}

std::vector<double> CpuLayerKernels::NearestErrors(MatrixView weights, MatrixView gram,
                                                   std::int64_t group) {
  return quant::RoundToNearest(weights, gram, group, lanes_).row_errors;
}

CodedLinear CpuLayerKernels::SearchRanges(MatrixView weights, MatrixView gram, std::int64_t group) {
  return quant::SearchRanges(weights, gram, group, lanes_);
}

CodedLinear CpuLayerKernels::CompensateErrors(MatrixView weights, const InputMetric& metric,
                                              GridChoice choice) {
  return quant::CompensateErrors(weights, metric, choice, lanes_);
}

std::vector<double> CpuLayerKernels::RowErrors(MatrixView difference, MatrixView gram) {
  return quant::RowErrors(difference, gram, lanes_);
}

KernelsOf::KernelsOf(tensor::Backend& backend, tensor::TaskLanes& lanes)
    : kernels_(dynamic_cast<LayerKernels*>(&backend)) {
  if (kernels_ == nullptr) {
    own_ = std::make_unique<CpuLayerKernels>(lanes);
    kernels_ = own_.get();
  }
}

std::vector<double> CpuLayerKernels::RowProducts(MatrixView a, MatrixView b) {
  TYLLM_CHECK(a.rows == b.rows && a.columns == b.columns);
  std::vector<double> products(static_cast<std::size_t>(a.rows));
  lanes_.ForRuns(a.rows, kRowRun, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      products[static_cast<std::size_t>(r)] =
          std::inner_product(a.row(r).begin(), a.row(r).end(), b.row(r).begin(), 0.0, std::plus<>(),
                             [](double x, double y) { return x * y; });
    }
  });
  return products;
}

void CpuLayerKernels::AddProduct(MatrixView a, MatrixView b, Matrix& sum) {
  TYLLM_CHECK(a.rows == b.rows && sum.rows() == a.columns && sum.columns() == b.columns);
  const std::int64_t across = (b.columns + kProductTile - 1) / kProductTile;
  const std::int64_t down = (a.columns + kProductTile - 1) / kProductTile;
  lanes_.ForEach(down * across, [&](std::int64_t task, std::vector<float>&) {
    const std::int64_t row = task / across * kProductTile;
    const std::int64_t column = task % across * kProductTile;
    tensor::AccumulateTransposed({.rows = std::min(kProductTile, a.columns - row),
                                  .columns = std::min(kProductTile, b.columns - column),
                                  .depth = a.rows},
                                 {a.data + row, a.columns}, {b.data + column, b.columns},
                                 sum.data() + row * sum.columns() + column, sum.columns());
  });
}

Matrix CpuLayerKernels::DampedFactor(const Matrix& gram) {
  return quant::DampedFactor(gram, lanes_);
}

void CpuLayerKernels::Solve(const Matrix& factor, Matrix& rows) {
  const std::int64_t width = factor.columns();
  TYLLM_CHECK(rows.columns() == width);
  lanes_.ForRuns(rows.rows(), kRowRun, [&](std::int64_t first, std::int64_t last) {
    float* const run = rows.data() + first * width;
    tensor::SolveUpperTransposed(last - first, width, {factor.data(), width}, run, width);
    tensor::SolveUpper(last - first, width, {factor.data(), width}, run, width);
  });
}

std::optional<PackedLinear> CpuLayerKernels::Pack(const CodedLinear& coded,
                                                  const model::LinearFormat& format) {
  Result<PackedLinear> packed = PackCodes(coded.matrix, format);
  return packed.ok() ? std::optional(*std::move(packed)) : std::nullopt;
}

Matrix CpuLayerKernels::DecodePacked(const PackedLinear& packed) {
  return Decode(*UnpackCodes(packed));
}

Matrix CpuLayerKernels::Decode(const model::QuantizedMatrix& matrix) {
  return {matrix.rows, matrix.columns, matrix.Dequantize()};
}

}  // namespace tyllm::quant
