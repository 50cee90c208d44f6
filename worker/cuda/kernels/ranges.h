// SPDX-License-Identifier: Apache-2.0
// The steps of searching the range of one group of each row (worker/quant/range_search.cpp). All
// pointers are of the device; calls only enqueue on `stream`.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "worker/cuda/kernels/rounding.h"

namespace tyllm::cuda {

/// Grids that are tried for a group: quant::CandidateGrids.
std::int64_t RangeCandidates();

/// Some rows of a layer, at their group `index`. Weights and errors are [shape.rows, width]; what
/// is of a group alone is [shape.rows, group].
struct RangeGroup {
  std::int64_t index = 0;
  const float* weights = nullptr;
  float* errors = nullptr;  ///< coded - float
  float* steps = nullptr;   ///< [rows, groups]: codes are rounded with them
  float* scales = nullptr;  ///< and multiplied by these
  float* zeros = nullptr;
};

/// out [rows * RangeCandidates(), group]: the group's errors on each of its candidates.
void FillCandidates(GroupedRows shape, const RangeGroup& group, float* out, cudaStream_t stream);

/// Takes for each row the first of the candidates with the smallest e G e^T + 2 cross e; `products`
/// are `candidates` times G; `cross` of nullptr is 0.
void TakeBestCandidate(GroupedRows shape, const RangeGroup& group, const float* candidates,
                       const float* products, const float* cross, cudaStream_t stream);

/// out = errors + weights of the group.
void CodedGroup(GroupedRows shape, const RangeGroup& group, float* out, cudaStream_t stream);

/// Gives the group, its codes fixed, the stored scale that makes the row's error smallest; `coded`
/// is CodedGroup's, `products` is that times G.
void RescaleGroup(GroupedRows shape, const RangeGroup& group, const float* coded,
                  const float* products, const float* cross, cudaStream_t stream);

/// codes [rows, width] of the weights on their steps and zero points.
void CodesOnSteps(GroupedRows shape, const float* weights, const float* steps, const float* zeros,
                  std::uint8_t* codes, cudaStream_t stream);

}  // namespace tyllm::cuda
