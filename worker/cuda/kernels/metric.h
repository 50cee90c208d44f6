// SPDX-License-Identifier: Apache-2.0
// Steps of quant::MakeInputMetric. All pointers are of the device; calls only enqueue on `stream`.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace tyllm::cuda {

/// Columns that are factored at once.
constexpr int kFactorBlock = 128;

void Diagonal(const float* matrix, std::int64_t n, float* out, cudaStream_t stream);
/// out[i, j] = gram[c(i), c(j)] / (scale[c(i)] * scale[c(j)]) with c = columns; nullptr: c(i) = i.
void OrderGram(const float* gram, std::int64_t n, const std::int32_t* columns, const float* scales,
               float* out, cudaStream_t stream);
/// matrix[i, i] += numbers[i].
void AddDiagonal(const float* numbers, std::int64_t n, float* matrix, cudaStream_t stream);
/// Factors the block of `size` columns at [first, first] of matrix [n, n]: B = U U^T, U upper
/// triangular. Writes U over the block's upper triangle and U^-1 [size, size] into `inverse`.
/// *failed becomes 1 when the block is not positive definite.
void FactorBlock(float* matrix, std::int64_t n, std::int64_t first, int size, float* inverse,
                 std::int32_t* failed, cudaStream_t stream);
/// Copies [rows, columns] between matrices whose rows are so far apart.
void CopyBlock(const float* from, std::int64_t from_stride, std::int64_t rows, std::int64_t columns,
               float* to, std::int64_t to_stride, cudaStream_t stream);
/// costs[k] = factor[k, k]^2 and inverses[k] = 1 / factor[k, k].
void Pivots(const float* factor, std::int64_t n, float* costs, float* inverses,
            cudaStream_t stream);
/// out[i] = sum over the i-th column's own group of gram[i, .]; totals[g] = sum of those of a
/// group.
void GroupSums(const float* gram, std::int64_t n, std::int64_t group, float* out, double* totals,
               cudaStream_t stream);

}  // namespace tyllm::cuda
