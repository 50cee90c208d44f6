// SPDX-License-Identifier: Apache-2.0
// Kernels over rows and elements. All pointers are of the device; calls only enqueue on `stream`.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace tyllm::cuda {

/// out = 16-bit numbers of a file as float32; fp16 or bfloat16.
void DecodeHalf(const std::uint16_t* from, std::int64_t n, float* out, cudaStream_t stream);
void DecodeBFloat16(const std::uint16_t* from, std::int64_t n, float* out, cudaStream_t stream);

void EmbedRows(const float* table, const std::int32_t* ids, std::int64_t rows, std::int64_t columns,
               float* out, cudaStream_t stream);
/// Over `runs` runs of `width` numbers.
void RmsNorm(const float* x, std::int64_t runs, std::int64_t width, const float* weight,
             float epsilon, float* out, cudaStream_t stream);
/// rotations [entries, 2 * half]: cosines, then sines, of positions[e] * frequencies[i]; positions
/// of nullptr are 0, 1, 2, ...
void FillRotations(const std::int32_t* positions, std::int64_t entries, const float* frequencies,
                   std::int64_t half, float* rotations, cudaStream_t stream);
/// Rotates all heads of row r by rotation entries[r] (nullptr: entry r).
void Rotate(float* x, std::int64_t rows, std::int64_t columns, const std::int32_t* entries,
            const float* rotations, std::int64_t half, cudaStream_t stream);
void SiluMul(const float* gate, const float* up, std::int64_t n, float* out, cudaStream_t stream);
void Add(const float* a, const float* b, std::int64_t n, float* out, cudaStream_t stream);
/// Every row of out [rows, columns] becomes `bias`.
void FillRows(const float* bias, std::int64_t rows, std::int64_t columns, float* out,
              cudaStream_t stream);
void Scale(float factor, std::int64_t n, float* x, cudaStream_t stream);
void MultiplyColumns(const float* scales, std::int64_t rows, std::int64_t columns, float* x,
                     cudaStream_t stream);
void DivideRows(const float* scales, std::int64_t rows, std::int64_t columns, float* x,
                cudaStream_t stream);
/// *outside becomes 1 when a number is not finite or larger than `largest`.
void FindOutside(const float* x, std::int64_t n, float largest, std::int32_t* outside,
                 cudaStream_t stream);

/// The first of the largest numbers of each row; 0 among NaNs.
void ArgMax(const float* x, std::int64_t rows, std::int64_t columns, std::int32_t* out,
            cudaStream_t stream);
void LogSumExp(const float* x, std::int64_t rows, std::int64_t columns, double* out,
               cudaStream_t stream);
void KlDivergence(const float* p, const float* q, std::int64_t rows, std::int64_t columns,
                  double* out, cudaStream_t stream);
void Pick(const float* x, std::int64_t rows, std::int64_t columns, const std::int32_t* at,
          float* out, cudaStream_t stream);

}  // namespace tyllm::cuda
