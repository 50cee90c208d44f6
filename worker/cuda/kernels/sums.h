// SPDX-License-Identifier: Apache-2.0
// Planes of bfloat16 for products, and sums that come out the same on every run.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <cstdint>

namespace tyllm::cuda {

/// x as the sum of two or three numbers of bfloat16, but for 2^-18 |x| or 2^-26 |x|; `third` may be
/// nullptr. n numbers.
void SplitPlanes(const float* x, std::int64_t n, __nv_bfloat16* first, __nv_bfloat16* second,
                 __nv_bfloat16* third, cudaStream_t stream);

/// gram += part + part^T, [n, n].
void AddSymmetric(const float* part, std::int64_t n, float* gram, cudaStream_t stream);

/// What each column is summed over rows by.
enum class ColumnTerm : std::uint8_t {
  kMagnitude,  ///< |x|
  kSquare,     ///< x^2
  kGateSlope,  ///< (silu'(x) * y)^2
  kSilu,       ///< silu(x)^2
};

/// sums[c] = sum over every stride-th row; `partial` has room for ColumnParts(rows, stride) *
/// columns doubles. `y` only where the term has one.
std::int64_t ColumnParts(std::int64_t rows, std::int64_t stride);
void SumColumns(ColumnTerm term, const float* x, const float* y, std::int64_t rows,
                std::int64_t columns, std::int64_t stride, double* partial, double* sums,
                cudaStream_t stream);

/// out[r] (+)= sum over c of a[r, c] * b[r, c], in double; strides from row to row.
void RowDots(const float* a, std::int64_t a_stride, const float* b, std::int64_t b_stride,
             std::int64_t rows, std::int64_t columns, bool add, double* out, cudaStream_t stream);

/// *sum += sum of weight(r, c) * a[r, c] * b[r, c] over rows x columns, where weight is 1 in the
/// first `square` columns and 2 behind them. `partial` has room for kDotParts doubles.
constexpr int kDotParts = 264;
void PanelDot(const float* a, std::int64_t a_stride, const float* b, std::int64_t b_stride,
              std::int64_t rows, std::int64_t columns, std::int64_t square, double* partial,
              double* sum, cudaStream_t stream);

}  // namespace tyllm::cuda
