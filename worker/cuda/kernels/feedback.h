// SPDX-License-Identifier: Apache-2.0
// Rounding with error feedback (quant/error_feedback.h), one group of all rows at a time. All
// pointers are of the device; calls only enqueue on `stream`.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "worker/cuda/kernels/rounding.h"

namespace tyllm::cuda {

/// Grids that are carried through a group at once (quant::kGridLanes).
constexpr int kGridLanes = 8;

/// Lengths of groups that these kernels are made for.
constexpr bool TakesGroup(std::int64_t group) {
  return group == 32 || group == 64 || group == 128;
}

/// The group that is rounded, of rows in the order of treatment.
struct FeedbackGroup {
  std::int64_t index = 0;
  const float* weights = nullptr;   ///< of all rows [rows, width]
  const float* moved_by = nullptr;  ///< [rows, group]: what the errors before ask of it
  const float* feedback = nullptr;  ///< the whole feedback matrix [width, width]
  const float* cost = nullptr;      ///< [width]
};

/// targets [rows, group] = weights - moved_by; grids [rows, kGridLanes, 2]: of all candidates those
/// with the smallest errors before compensation, the first of equals (scale, then zero point). With
/// `searched` false all are the min-max grid.
void ChooseGrids(GroupedRows shape, const FeedbackGroup& group, bool searched, float* targets,
                 float* grids, cudaStream_t stream);

/// Rounds the columns of the group one after another on all grids of each row, and keeps what the
/// best of them gave.
void Compensate(GroupedRows shape, const FeedbackGroup& group, const float* targets,
                const float* grids, CodedRows out, cudaStream_t stream);

}  // namespace tyllm::cuda
