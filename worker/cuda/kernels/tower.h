// SPDX-License-Identifier: Apache-2.0
// Kernels of visual towers. All pointers are of the device; calls only enqueue on `stream`.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace tyllm::cuda {

/// out[r] = (x[r] - mean) / sqrt(variance + epsilon) * weight + bias.
void LayerNorm(const float* x, std::int64_t rows, std::int64_t width, const float* weight,
               const float* bias, float epsilon, float* out, cudaStream_t stream);

/// tensor::Gelu's, in its order; `out` may be x. n numbers.
void ErfGelu(const float* x, std::int64_t n, float* out, cudaStream_t stream);
void TanhGelu(const float* x, std::int64_t n, float* out, cudaStream_t stream);
void QuickGelu(const float* x, std::int64_t n, float* out, cudaStream_t stream);

/// out[r] = sum over j < each of weights[r * each + j] * table[rows[r * each + j]], out [count,
/// columns].
void MixRows(const float* table, const std::int32_t* rows, const float* weights, std::int64_t each,
             std::int64_t count, std::int64_t columns, float* out, cudaStream_t stream);

}  // namespace tyllm::cuda
