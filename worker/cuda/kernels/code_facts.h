// SPDX-License-Identifier: Apache-2.0
// What can be told of a layer's codes. All pointers are of the device; calls only enqueue.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "worker/cuda/kernels/rounding.h"

namespace tyllm::cuda {

/// Parts of rows that group errors are summed in.
std::int64_t FactParts(std::int64_t rows);

/// quant::CodeFacts of codes [rows, width] on grids (scale, zero) against `weights`: errors
/// [groups] = sum of error^2 * energy[column] (nullptr: 1), *saturated = codes at the ends of their
/// grid that are wrong by more than half a step. `partial` has room for FactParts(rows) * groups
/// doubles.
void DescribeCodes(GroupedRows shape, const float* weights, CodedRows rows, const float* energy,
                   double* partial, double* errors, unsigned long long* saturated,
                   cudaStream_t stream);

}  // namespace tyllm::cuda
