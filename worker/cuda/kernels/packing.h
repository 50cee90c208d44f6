// SPDX-License-Identifier: Apache-2.0
// Words of AutoAWQ's GEMM layout (worker/model/awq_gemm_words.h). All pointers are of the device;
// calls only enqueue on `stream`. Outputs are a multiple of 8.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "worker/cuda/kernels/rounding.h"

namespace tyllm::cuda {

/// nibbles [outputs, inputs], one a byte -> words [inputs, outputs / 8].
void PackWords(const std::uint8_t* nibbles, std::int64_t outputs, std::int64_t inputs,
               std::uint32_t* words, cudaStream_t stream);

/// from [rows, columns] -> to [columns, rows].
void TransposeHalves(const std::uint16_t* from, std::int64_t rows, std::int64_t columns,
                     std::uint16_t* to, cudaStream_t stream);

/// out [rows, width] = (code - zero) * scale, each group's, of what was packed so: codes [width,
/// rows / 8], zeros [groups, rows / 8], scales [groups, rows].
void DecodeWords(GroupedRows shape, const std::uint32_t* codes, const std::uint32_t* zeros,
                 const std::uint16_t* scales, float* out, cudaStream_t stream);

/// sums [2] += the two halves of the terms (worker/quant/code_mix.h) of an array of `words` times
/// eight bytes. Exact, whatever the order.
void AddCodeTerms(const void* bytes, std::int64_t words, std::uint64_t array,
                  unsigned long long* sums, cudaStream_t stream);

}  // namespace tyllm::cuda
