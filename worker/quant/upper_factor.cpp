// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/upper_factor.h"

#include <algorithm>
#include <cmath>

#include "worker/tensor/blas.h"

namespace tyllm::quant {

namespace {

/// Columns that are factored at once, and the tiles by which they are taken out of the rest.
constexpr std::int64_t kBlock = 128;
constexpr std::int64_t kTile = 256;

/// Of n columns, plain, from the last to the first. Sums in double.
bool FactorBlock(float* block, std::int64_t n, std::int64_t stride) {
  const auto rest = [=](std::int64_t i, std::int64_t k) {
    double sum = block[i * stride + k];
    for (std::int64_t m = k + 1; m < n; ++m) {
      sum -= static_cast<double>(block[i * stride + m]) * block[k * stride + m];
    }
    return sum;
  };
  for (std::int64_t k = n - 1; k >= 0; --k) {
    const double pivot = rest(k, k);
    if (!(pivot > 0.0)) {
      return false;
    }
    const double root = std::sqrt(pivot);
    for (std::int64_t i = 0; i < k; ++i) {
      block[i * stride + k] = static_cast<float>(rest(i, k) / root);
    }
    block[k * stride + k] = static_cast<float>(root);
  }
  return true;
}

/// Takes what the columns [first, first + size) explain out of all columns before them.
void TakeOut(tensor::Matrix& matrix, std::int64_t first, std::int64_t size,
             tensor::TaskLanes& lanes) {
  const std::int64_t n = matrix.columns();
  const std::int64_t tiles = (first + kTile - 1) / kTile;
  lanes.ForEach(tiles * tiles, [&](std::int64_t task, std::vector<float>&) {
    const std::int64_t row = task / tiles * kTile;
    const std::int64_t column = task % tiles * kTile;
    if (row > column) {
      return;
    }
    tensor::MultiplyTransposed({.rows = std::min(kTile, first - row),
                                .columns = std::min(kTile, first - column),
                                .depth = size},
                               {matrix.data() + row * n + first, n},
                               {matrix.data() + column * n + first, n}, -1.0F, 1.0F,
                               matrix.data() + row * n + column, n);
  });
}

}  // namespace

bool FactorUpper(tensor::Matrix& matrix, tensor::TaskLanes& lanes) {
  const std::int64_t n = matrix.columns();
  TYLLM_CHECK(matrix.rows() == n);
  for (std::int64_t end = n; end > 0; end -= std::min(kBlock, end)) {
    const std::int64_t first = std::max<std::int64_t>(0, end - kBlock);
    const std::int64_t size = end - first;
    float* block = matrix.data() + first * n + first;
    if (!FactorBlock(block, size, n)) {
      return false;
    }
    lanes.ForRuns(first, kBlock, [&](std::int64_t row, std::int64_t last) {
      tensor::SolveUpperTransposed(last - row, size, {block, n}, matrix.data() + row * n + first,
                                   n);
    });
    TakeOut(matrix, first, size, lanes);
  }
  return true;
}

}  // namespace tyllm::quant
