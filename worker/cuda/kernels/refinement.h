// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "worker/cuda/kernels/rounding.h"

namespace tyllm::cuda {

/// The group of all rows that is refined, in the order of treatment.
struct RefinedGroup {
  std::int64_t index = 0;
  const float* weights = nullptr;    ///< of all rows [rows, width]
  const float* gradient = nullptr;   ///< [rows, group]: all errors times the group's columns of G
  const float* gram = nullptr;       ///< G [width, width]
  const float* gram_sums = nullptr;  ///< see GroupSums
  const double* gram_totals = nullptr;
};

/// One group of quant/code_refinement.h: another grid for the codes where `refit`, then other codes
/// one after another, in at most three passes. On the device; only enqueues.
void RefineGroup(GroupedRows shape, const RefinedGroup& group, bool refit, CodedRows rows,
                 cudaStream_t stream);

}  // namespace tyllm::cuda
