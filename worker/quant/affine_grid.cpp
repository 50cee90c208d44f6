// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/affine_grid.h"

#include <algorithm>
#include <cmath>

#include "common/format/float16.h"
#include "worker/quant/grid_loops.h"

namespace tyllm::quant {

namespace {

constexpr float kLargestHalf = 65504.0F;
constexpr float kSmallestHalf = 0x1p-24F;
constexpr float kSmallestNormalHalf = 0x1p-14F;

/// The step as fp16 holds it.
float StoredStep(float step) {
  if (step >= kLargestHalf) {
    return kLargestHalf;
  }
  const float nearest = format::HalfToFloat(format::FloatToHalf(step));
  if (nearest < kSmallestHalf) {
    return kSmallestHalf;
  }
  // Subnormal steps are coarse: half a step of 2^-24 may be a large part of the range.
  if (nearest < step && nearest < kSmallestNormalHalf) {
    return nearest + kSmallestHalf;
  }
  return nearest;
}

float WholeCode(float code) {
  return std::clamp(std::nearbyint(code), 0.0F, kLargestCode);
}

}  // namespace

WeightRange RangeOf(std::span<const float> weights) {
  WeightRange range;
  GridLoopsForThisProcessor().range(weights.data(), static_cast<std::int64_t>(weights.size()),
                                    &range.low, &range.high);
  return range;
}

AffineGrid MinMaxGrid(WeightRange range) {
  const float scale = StoredStep(range.width() / kLargestCode);
  return {scale, WholeCode(-range.low / scale)};
}

AffineGrid NarrowedGrid(WeightRange range, float factor, float shift) {
  const float scale = StoredStep(range.width() / kLargestCode * factor);
  const float cut_steps = range.width() / scale - kLargestCode;  // of both ends together
  return {scale, WholeCode(std::nearbyint(-range.low / scale - cut_steps / 2.0F) + shift)};
}

std::array<AffineGrid, kGridCandidates> CandidateGrids(WeightRange range) {
  constexpr int kFactors = 18;
  constexpr float kFirstFactor = 1.04F;
  constexpr float kFactorStep = 0.03F;
  std::array<AffineGrid, kGridCandidates> grids;
  std::size_t k = 0;
  grids[k++] = MinMaxGrid(range);
  for (int f = 0; f < kFactors; ++f) {
    const float factor = kFirstFactor - kFactorStep * static_cast<float>(f);
    for (const float shift : {0.0F, -1.0F, 1.0F}) {
      grids[k++] = NarrowedGrid(range, factor, shift);
    }
  }
  return grids;
}

}  // namespace tyllm::quant
