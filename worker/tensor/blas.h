// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "worker/tensor/matrix_products.h"

namespace tyllm::tensor {

/// Tells the BLAS to compute each call on the thread that makes it: this project's pool decides
/// what runs where, and a call's result depends on its shape alone (ADR "Sums that do not depend on
/// threads"). And to use kernels that fit the processor, unless the environment names some
/// (blas_core.h). For the whole process, once; before anything computes.
void PrepareBlas();

/// out = factor * a b^T + keep * out; a [rows, depth], b [columns, depth].
void MultiplyTransposed(const ProductShape& shape, Tile a, Tile b, float factor, float keep,
                        float* out, std::int64_t out_stride);
/// out = a b; a [rows, depth], b [depth, columns].
void Multiply(const ProductShape& shape, Tile a, Tile b, float* out, std::int64_t out_stride);
/// out += a b; a [rows, depth], b [depth, columns].
void AccumulateProduct(const ProductShape& shape, Tile a, Tile b, float* out,
                       std::int64_t out_stride);
/// x [rows, columns] becomes the y with y u^T = x; u [columns, columns], upper triangular.
void SolveUpperTransposed(std::int64_t rows, std::int64_t columns, Tile u, float* x,
                          std::int64_t x_stride);
/// x [rows, columns] becomes the y with y u = x; u [columns, columns], upper triangular.
void SolveUpper(std::int64_t rows, std::int64_t columns, Tile u, float* x, std::int64_t x_stride);
/// The upper half of out [columns, columns], its diagonal included, += that of a^T a; a [depth,
/// columns]. What is below the diagonal is left alone.
void AccumulateSquare(std::int64_t columns, std::int64_t depth, Tile a, float* out,
                      std::int64_t out_stride);
/// out += a^T b; a [depth, rows], b [depth, columns].
void AccumulateTransposed(const ProductShape& shape, Tile a, Tile b, float* out,
                          std::int64_t out_stride);

/// Those of them that CpuBackend needs.
inline constexpr MatrixProducts kBlasProducts{.name = "blas",
                                              .multiply_transposed = MultiplyTransposed,
                                              .multiply = Multiply,
                                              .accumulate_square = AccumulateSquare,
                                              .accumulate_transposed = AccumulateTransposed};

}  // namespace tyllm::tensor
