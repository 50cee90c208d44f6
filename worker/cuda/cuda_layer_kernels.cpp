// SPDX-License-Identifier: Apache-2.0
// The steps of quantizing a layer that are sums, scalings and rounding to the nearest.
#include <algorithm>
#include <cmath>

#include "worker/cuda/cuda_backend.h"
#include "worker/cuda/kernels/elementwise.h"
#include "worker/cuda/kernels/metric.h"
#include "worker/cuda/kernels/rounding.h"
#include "worker/cuda/kernels/sums.h"

namespace tyllm::cuda {

using tensor::Matrix;
using tensor::MatrixView;

namespace {

/// Columns of the products of errors that are computed at once.
constexpr std::int64_t kPanel = 2048;

}  // namespace

bool CudaBackend::AllWithin(MatrixView matrix, float largest) {
  device_.Use();
  Buffer<float> kept;
  const Buffer<std::int32_t> outside = device_.Make<std::int32_t>(1);
  Check(cudaMemsetAsync(outside.get(), 0, sizeof(std::int32_t), device_.stream()),
        "cudaMemsetAsync");
  const std::int64_t count = matrix.rows * matrix.columns;
  FindOutside(OnDevice(matrix.data, count, kept), count, largest, outside.get(), device_.stream());
  return device_.Receive(outside.get(), 1).front() == 0;
}

std::vector<double> CudaBackend::ColumnSums(std::uint8_t term, MatrixView x, const float* y,
                                            std::int64_t stride) {
  device_.Use();
  Buffer<float> kept_x;
  Buffer<float> kept_y;
  const std::int64_t count = x.rows * x.columns;
  const float* a = OnDevice(x.data, count, kept_x);
  const float* b = y == nullptr ? nullptr : OnDevice(y, count, kept_y);
  const Buffer<double> partial = device_.Make<double>(ColumnParts(x.rows, stride) * x.columns);
  const Buffer<double> sums = device_.Make<double>(x.columns);
  SumColumns(static_cast<ColumnTerm>(term), a, b, x.rows, x.columns, stride, partial.get(),
             sums.get(), device_.stream());
  return device_.Receive(sums.get(), x.columns);
}

void CudaBackend::AddMagnitudes(MatrixView x, std::span<double> sums) {
  const auto more = ColumnSums(static_cast<std::uint8_t>(ColumnTerm::kMagnitude), x, nullptr, 1);
  std::ranges::transform(sums, more, sums.begin(), std::plus<>());
}

void CudaBackend::AddGateSquares(MatrixView gate, MatrixView up, std::int64_t stride,
                                 std::span<double> gate_sums, std::span<double> up_sums) {
  const auto slopes =
      ColumnSums(static_cast<std::uint8_t>(ColumnTerm::kGateSlope), gate, up.data, stride);
  std::ranges::transform(gate_sums, slopes, gate_sums.begin(), std::plus<>());
  const auto squares =
      ColumnSums(static_cast<std::uint8_t>(ColumnTerm::kSilu), gate, nullptr, stride);
  std::ranges::transform(up_sums, squares, up_sums.begin(), std::plus<>());
}

std::vector<double> CudaBackend::ColumnSquares(MatrixView matrix) {
  return ColumnSums(static_cast<std::uint8_t>(ColumnTerm::kSquare), matrix, nullptr, 1);
}

void CudaBackend::Scale(float factor, Matrix& matrix) {
  device_.Use();
  cuda::Scale(factor, matrix.rows() * matrix.columns(), InPlace(matrix), device_.stream());
}

void CudaBackend::MultiplyColumns(std::span<const float> scales, Matrix& matrix) {
  device_.Use();
  const Buffer<float> sent = device_.Send(scales);
  cuda::MultiplyColumns(sent.get(), matrix.rows(), matrix.columns(), InPlace(matrix),
                        device_.stream());
}

void CudaBackend::DivideRows(std::span<const float> scales, Matrix& matrix) {
  device_.Use();
  const Buffer<float> sent = device_.Send(scales);
  cuda::DivideRows(sent.get(), matrix.rows(), matrix.columns(), InPlace(matrix), device_.stream());
}

std::vector<float> CudaBackend::MeanRelativeWeight(std::span<const MatrixView> weights,
                                                   std::int64_t group) {
  device_.Use();
  const std::int64_t width = weights.front().columns;
  const Buffer<double> sums = device_.Make<double>(width);
  Check(cudaMemsetAsync(sums.get(), 0, static_cast<std::size_t>(width) * sizeof(double),
                        device_.stream()),
        "cudaMemsetAsync");
  std::int64_t rows = 0;
  for (const MatrixView& matrix : weights) {
    Buffer<float> kept;
    const Buffer<double> partial = device_.Make<double>(RelativeParts(matrix.rows) * width);
    AddRelativeWeights(OnDevice(matrix.data, matrix.rows * width, kept),
                       {matrix.rows, width, group}, partial.get(), sums.get(), device_.stream());
    rows += matrix.rows;
  }
  std::vector<float> means;
  for (const double sum : device_.Receive(sums.get(), width)) {
    means.push_back(static_cast<float>(sum / static_cast<double>(rows)));
  }
  return means;
}

std::vector<double> CudaBackend::ScaledErrors(std::span<const quant::ScaleCandidate> candidates,
                                              std::span<const quant::WeighedLinear> linears,
                                              MatrixView gram, std::int64_t group) {
  // sum of w_r e_r G e_r^T = sum of G * (E^T diag(w) E), of which the upper half is computed:
  // errors in bfloat16, sums and G in float32 (docs/adr/0062).
  device_.Use();
  const std::int64_t width = gram.columns;
  std::int64_t rows = 0;
  std::int64_t most_rows = 0;
  std::vector<Buffer<float>> roots;
  for (const quant::WeighedLinear& linear : linears) {
    std::vector<float> of_rows;
    for (const double weight : linear.row_weights) {
      of_rows.push_back(static_cast<float>(std::sqrt(weight)));
    }
    roots.push_back(device_.Send(std::span<const float>(of_rows)));
    rows += linear.weights.rows;
    most_rows = std::max(most_rows, linear.weights.rows);
  }
  const Buffer<__nv_bfloat16> errors = device_.Make<__nv_bfloat16>(rows * width);
  const Buffer<float> panel = device_.Make<float>(std::min(kPanel, width) * width);
  const Buffer<double> partial = device_.Make<double>(kDotParts);
  const Buffer<double> sums = device_.Make<double>(static_cast<std::int64_t>(candidates.size()));
  Check(cudaMemsetAsync(sums.get(), 0, candidates.size() * sizeof(double), device_.stream()),
        "cudaMemsetAsync");
  for (std::size_t k = 0; k < candidates.size(); ++k) {
    std::vector<float> inverses;
    for (const float scale : candidates[k].scales) {
      inverses.push_back(1.0F / scale);
    }
    const Buffer<float> scales = device_.Send(std::span(candidates[k].scales));
    const Buffer<float> sent_inverses = device_.Send(std::span<const float>(inverses));
    __nv_bfloat16* next = errors.get();
    for (std::size_t l = 0; l < linears.size(); ++l) {
      const MatrixView& w = linears[l].weights;
      cuda::ScaledErrors(w.data, {w.rows, width, group}, scales.get(), sent_inverses.get(),
                         roots[l].get(), next, device_.stream());
      next += w.rows * width;
    }
    for (std::int64_t first = 0; first < width; first += kPanel) {
      const std::int64_t last = std::min(first + kPanel, width);
      products_.SquareOfErrors(errors.get(), rows, width, first, last, false, panel.get());
      PanelDot(panel.get(), width - first, gram.data + first * width + first, width, last - first,
               width - first, last - first, partial.get(), sums.get() + k, device_.stream());
    }
  }
  return device_.Receive(sums.get(), static_cast<std::int64_t>(candidates.size()));
}

Matrix CudaBackend::DividedGram(const Matrix& gram, std::span<const float> scales) {
  device_.Use();
  Buffer<float> kept;
  const Buffer<float> sent = device_.Send(scales);
  const std::int64_t n = gram.columns();
  Matrix divided;
  OrderGram(OnDevice(gram.data(), n * n, kept), n, nullptr, sent.get(), Shape(divided, n, n),
            device_.stream());
  return divided;
}

std::vector<double> CudaBackend::RowErrors(MatrixView difference, MatrixView gram) {
  device_.Use();
  Buffer<float> kept;
  Buffer<float> kept_gram;
  const std::int64_t width = difference.columns;
  const float* rows = OnDevice(difference.data, difference.rows * width, kept);
  const Buffer<double> errors = device_.Make<double>(difference.rows);
  if (gram.rows == 0) {
    RowDots(rows, width, rows, width, difference.rows, width, false, errors.get(),
            device_.stream());
  } else {
    products_.QuadraticForms(Exactness::kTwoPlanes, rows, difference.rows, width,
                             OnDevice(gram.data, width * width, kept_gram), errors.get());
  }
  return device_.Receive(errors.get(), difference.rows);
}

std::vector<double> CudaBackend::RowProducts(MatrixView a, MatrixView b) {
  TYLLM_CHECK(a.rows == b.rows && a.columns == b.columns);
  device_.Use();
  Buffer<float> kept_a;
  Buffer<float> kept_b;
  const Buffer<double> products = device_.Make<double>(a.rows);
  RowDots(OnDevice(a.data, a.rows * a.columns, kept_a), a.columns,
          OnDevice(b.data, b.rows * b.columns, kept_b), b.columns, a.rows, a.columns, false,
          products.get(), device_.stream());
  return device_.Receive(products.get(), a.rows);
}

void CudaBackend::AddProduct(MatrixView a, MatrixView b, Matrix& sum) {
  TYLLM_CHECK(a.rows == b.rows && sum.rows() == a.columns && sum.columns() == b.columns);
  device_.Use();
  Buffer<float> kept_a;
  Buffer<float> kept_b;
  const float* left = OnDevice(a.data, a.rows * a.columns, kept_a);
  const float* right = OnDevice(b.data, b.rows * b.columns, kept_b);
  // Apart, so that it does not matter to a bit what is in the sum (docs/adr/0064).
  const Buffer<float> part = device_.Make<float>(a.columns * b.columns);
  products_.Crossed({a.columns, b.columns, a.rows}, left, right, part.get());
  float* to = InPlace(sum);
  cuda::Add(to, part.get(), a.columns * b.columns, to, device_.stream());
}

void CudaBackend::Solve(const Matrix& factor, Matrix& rows) {
  TYLLM_CHECK(rows.columns() == factor.columns());
  device_.Use();
  Buffer<float> kept;
  const std::int64_t n = factor.columns();
  const float* u = OnDevice(factor.data(), n * n, kept);
  products_.SolveSquare(u, n, rows.rows(), InPlace(rows));
}

}  // namespace tyllm::cuda
