// SPDX-License-Identifier: Apache-2.0
// worker/quant/affine_grid.h and grid_loops.h for the device: the same numbers, bit by bit, so
// files that include this are compiled without fusing multiplications and additions.
#pragma once

#include <cuda_fp16.h>

#include <cstdint>

namespace tyllm::cuda {

constexpr float kLargestCode = 15.0F;
/// See quant::CandidateGrids.
constexpr int kGridCandidates = 1 + 18 * 3;

struct Grid {
  float scale;
  float zero;
};

__device__ inline float AsHalf(float x) {
  return __half2float(__float2half_rn(x));
}

__device__ inline float StoredStep(float step) {
  constexpr float kLargestHalf = 65504.0F;
  constexpr float kSmallestHalf = 0x1p-24F;
  constexpr float kSmallestNormalHalf = 0x1p-14F;
  if (step >= kLargestHalf) {
    return kLargestHalf;
  }
  const float nearest = AsHalf(step);
  if (nearest < kSmallestHalf) {
    return kSmallestHalf;
  }
  return nearest < step && nearest < kSmallestNormalHalf ? nearest + kSmallestHalf : nearest;
}

__device__ inline float ClampCode(float code) {
  return fminf(fmaxf(code, 0.0F), kLargestCode);
}

__device__ inline Grid MinMaxGrid(float low, float high) {
  const float scale = StoredStep((high - low) / kLargestCode);
  return {scale, ClampCode(rintf(-low / scale))};
}

__device__ inline Grid NarrowedGrid(float low, float high, float factor, float shift) {
  const float width = high - low;
  const float scale = StoredStep(width / kLargestCode * factor);
  const float cut_steps = width / scale - kLargestCode;
  return {scale, ClampCode(rintf(rintf(-low / scale - cut_steps / 2.0F) + shift))};
}

/// The k-th of the candidates.
__device__ inline Grid CandidateGrid(int k, float low, float high) {
  if (k == 0) {
    return MinMaxGrid(low, high);
  }
  const int factor = (k - 1) / 3;
  const int place = (k - 1) % 3;
  const float shift = place == 0 ? 0.0F : (place == 1 ? -1.0F : 1.0F);
  return NarrowedGrid(low, high, 1.04F - 0.03F * static_cast<float>(factor), shift);
}

__device__ inline float CodeOf(float w, float inverse, float zero) {
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds, halves to even
  return ClampCode((w * inverse + kRound) - kRound + zero);
}

/// Coded - float.
__device__ inline float ErrorOf(float w, float inverse, Grid grid) {
  return (CodeOf(w, inverse, grid.zero) - grid.zero) * grid.scale - w;
}

}  // namespace tyllm::cuda
