// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace tyllm::quant {

/// Codes of 4 bits: 0 .. 15.
inline constexpr float kLargestCode = 15.0F;

/// The sixteen numbers (q - zero) * scale that the weights of one group of one row become. `scale`
/// is a value of fp16, as the file stores it; `zero` is a whole number in [0, 15], so 0 is always
/// one of the sixteen.
struct AffineGrid {
  float scale = 1.0F;
  float zero = 0.0F;

  bool operator==(const AffineGrid&) const = default;
};

/// The interval that a grid has to cover. It always holds 0 (low <= 0 <= high), because the zero
/// point is one of the codes: a range without 0 would move a group of one sign by up to its whole
/// size (AutoAWQ makes about 0 of a constant group).
struct WeightRange {
  float low = 0.0F;
  float high = 0.0F;

  float width() const { return high - low; }
};

/// Smallest zero-inclusive range of finite numbers.
WeightRange RangeOf(std::span<const float> weights);

/// Round-to-nearest's grid: fifteen equal steps from low to high. A range too small for fp16 gets
/// the step 2^-24; a subnormal step is rounded up where rounding it to the nearest would cut the
/// range; a range too large for fp16 gets the largest step there is (see LargestWeight).
AffineGrid MinMaxGrid(WeightRange range);

/// A grid of `factor` times the min-max step, cutting (or padding) both ends alike, moved by
/// `shift` whole steps. factor > 0.
AffineGrid NarrowedGrid(WeightRange range, float factor, float shift);

/// Grids that a search tries: the min-max grid first, then steps of 1.04, 1.01, ... 0.53 times its,
/// each where it cuts both ends alike and one step to either side.
inline constexpr std::size_t kGridCandidates = 1 + 18 * 3;
std::array<AffineGrid, kGridCandidates> CandidateGrids(WeightRange range);

/// A weight beyond this cannot be stored: 15 times the largest step.
inline constexpr float kLargestWeight = kLargestCode * 65504.0F;

}  // namespace tyllm::quant
