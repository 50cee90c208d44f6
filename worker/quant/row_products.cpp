// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/row_products.h"

#include <algorithm>

#include "common/base/status.h"
#include "worker/quant/grid_loops.h"
#include "worker/tensor/blas.h"

namespace tyllm::quant {

namespace {

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
  const float* product = e;
  if (gram.rows > 0) {
    scratch.resize(std::max(scratch.size(), static_cast<std::size_t>(rows * width)));
    // G is symmetric, so e G is e G^T.
    tensor::MultiplyTransposed({.rows = rows, .columns = width, .depth = width}, {e, width},
                               {gram.data, width}, 1.0F, 0.0F, scratch.data(), width);
    product = scratch.data();
  }
  for (std::int64_t r = 0; r < rows; ++r) {
    out[static_cast<std::size_t>(r)] = LongDot(e + r * width, product + r * width, width);
  }
}

}  // namespace tyllm::quant
