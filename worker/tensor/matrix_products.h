// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace tyllm::tensor {

/// A row-major matrix inside another: `stride` floats from row to row.
struct Tile {
  const float* data = nullptr;
  std::int64_t stride = 0;
};

/// Where a product goes.
struct ProductShape {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t depth = 0;  ///< length of the sums
};

/// The products that CpuBackend is made of: a BLAS's (blas.h), or those that are the same bits on
/// every machine (steady_products.h).
struct MatrixProducts {
  const char* name;
  /// out = factor * a b^T, or with `keep` 1 out += a b^T (factor is 1 then); a [rows, depth], b
  /// [columns, depth].
  void (*multiply_transposed)(const ProductShape& shape, Tile a, Tile b, float factor, float keep,
                              float* out, std::int64_t out_stride);
  /// out = a b; a [rows, depth], b [depth, columns].
  void (*multiply)(const ProductShape& shape, Tile a, Tile b, float* out, std::int64_t out_stride);
  /// The upper half of out [columns, columns], its diagonal included, += that of a^T a; a [depth,
  /// columns]. What is below the diagonal is unspecified afterwards.
  void (*accumulate_square)(std::int64_t columns, std::int64_t depth, Tile a, float* out,
                            std::int64_t out_stride);
  /// out += a^T b; a [depth, rows], b [depth, columns].
  void (*accumulate_transposed)(const ProductShape& shape, Tile a, Tile b, float* out,
                                std::int64_t out_stride);
};

}  // namespace tyllm::tensor
