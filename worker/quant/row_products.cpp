// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/row_products.h"

#include <algorithm>

#include "common/base/status.h"
#include "worker/quant/grid_loops.h"
#include "worker/tensor/blas.h"

namespace tyllm::quant {

namespace {

/// Columns of G that are treated at once.
constexpr std::int64_t kBlock = 128;

/// Sum in double of single-precision pieces.
double LongDot(const float* a, const float* b, std::int64_t n) {
  constexpr std::int64_t kPiece = 256;
  const GridLoops& loops = GridLoopsForThisProcessor();
  double sum = 0.0;
  for (std::int64_t i = 0; i < n; i += kPiece) {
    sum += static_cast<double>(loops.dot(a + i, b + i, std::min(kPiece, n - i)));
  }
  return sum;
}

}  // namespace

void QuadraticForms(const float* e, std::int64_t rows, tensor::MatrixView gram,
                    std::vector<float>& scratch, std::span<double> out) {
  TYLLM_CHECK(static_cast<std::int64_t>(out.size()) == rows);
  const std::int64_t width = gram.columns;
  if (gram.rows == 0) {
    for (std::int64_t r = 0; r < rows; ++r) {
      out[static_cast<std::size_t>(r)] = LongDot(e + r * width, e + r * width, width);
    }
    return;
  }
  std::fill(out.begin(), out.end(), 0.0);
  scratch.resize(std::max(scratch.size(), static_cast<std::size_t>(rows * kBlock)));
  for (std::int64_t first = 0; first < width; first += kBlock) {
    const std::int64_t columns = std::min(kBlock, width - first);
    // G is symmetric: what lies left of the diagonal block counts twice, what lies right not at
    // all.
    const float* gram_rows = gram.data + first * width;
    if (first > 0) {
      tensor::MultiplyTransposed({.rows = rows, .columns = columns, .depth = first}, {e, width},
                                 {gram_rows, width}, 2.0F, 0.0F, scratch.data(), columns);
    }
    tensor::MultiplyTransposed({.rows = rows, .columns = columns, .depth = columns},
                               {e + first, width}, {gram_rows + first, width}, 1.0F,
                               first > 0 ? 1.0F : 0.0F, scratch.data(), columns);
    for (std::int64_t r = 0; r < rows; ++r) {
      out[static_cast<std::size_t>(r)] +=
          LongDot(e + r * width + first, scratch.data() + r * columns, columns);
    }
  }
}

std::vector<float> Diagonal(tensor::MatrixView gram) {
  std::vector<float> diagonal;
  for (std::int64_t i = 0; i < gram.rows; ++i) {
    diagonal.push_back(gram.row(i)[static_cast<std::size_t>(i)]);
  }
  return diagonal;
}

}  // namespace tyllm::quant
