// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/affine_grid.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "common/format/float16.h"
#include "worker/quant/grid_loops.h"

namespace tyllm::quant {
namespace {

/// Largest |coded - weight| of a group on its min-max grid.
float WorstError(const std::vector<float>& weights) {
  const AffineGrid grid = MinMaxGrid(RangeOf(weights));
  std::vector<float> errors(weights.size());
  GridLoopsForThisProcessor().errors(weights.data(), static_cast<std::int64_t>(weights.size()),
                                     grid.scale, grid.zero, errors.data());
  float worst = 0.0F;
  for (const float error : errors) {
    worst = std::max(worst, std::fabs(error));
  }
  return worst;
}

std::vector<float> Spread(float low, float high, int count = 64) {
  std::vector<float> weights;
  for (int i = 0; i < count; ++i) {
    weights.push_back(low + (high - low) * static_cast<float>(i) / static_cast<float>(count - 1));
  }
  return weights;
}

TEST(RangeOf, HoldsZeroWhateverTheWeights) {
  EXPECT_EQ(RangeOf(std::vector{0.5F, 0.7F}).low, 0.0F);
  EXPECT_EQ(RangeOf(std::vector{-0.5F, -0.7F}).high, 0.0F);
  const WeightRange both = RangeOf(Spread(-0.25F, 0.5F));
  EXPECT_EQ(both.low, -0.25F);
  EXPECT_EQ(both.high, 0.5F);
}

TEST(MinMaxGrid, IsWithinHalfAStepOfEveryWeight) {
  EXPECT_LE(WorstError(Spread(-0.3F, 0.7F)), 1.0F / 15.0F * 0.5F * 1.01F);
}

// AutoAWQ's primitive puts a group in [0.05, 0.06] at about 0 (rmse 0.045).
TEST(MinMaxGrid, KeepsGroupsOfOneSign) {
  EXPECT_LE(WorstError(Spread(0.05F, 0.06F)), 0.06F / 15.0F * 0.51F);
  EXPECT_LE(WorstError(Spread(-0.06F, -0.05F)), 0.06F / 15.0F * 0.51F);
}

TEST(MinMaxGrid, KeepsConstantGroups) {
  for (const float value : {0.5F, -0.5F, 3.0F, 1e-3F}) {
    EXPECT_LE(WorstError(std::vector<float>(32, value)), std::fabs(value) * 1e-3F) << value;
  }
}

TEST(MinMaxGrid, KeepsAGroupOfZerosExactly) {
  EXPECT_EQ(WorstError(std::vector<float>(32, 0.0F)), 0.0F);
  EXPECT_GT(MinMaxGrid({}).scale, 0.0F);
}

TEST(MinMaxGrid, HasAScaleThatFp16Holds) {
  for (const float high : {1e-9F, 1e-6F, 3e-5F, 0.1F, 1.0F, 1000.0F, 900000.0F}) {
    const AffineGrid grid = MinMaxGrid({-high, high});
    EXPECT_EQ(format::HalfToFloat(format::FloatToHalf(grid.scale)), grid.scale) << high;
    EXPECT_GT(grid.scale, 0.0F) << high;
    EXPECT_GE(grid.zero, 0.0F);
    EXPECT_LE(grid.zero, 15.0F);
    EXPECT_EQ(grid.zero, std::nearbyint(grid.zero));
  }
}

// 15 steps of 2^-24 * 11.5 would cut the range by 4 % if the step were rounded down to 11.
TEST(MinMaxGrid, CoversTheRangeWithSubnormalSteps) {
  for (float step = 1.1F; step < 40.0F; step += 0.37F) {
    const WeightRange range{0.0F, 15.0F * step * 0x1p-24F};
    EXPECT_GE(MinMaxGrid(range).scale * 15.0F, range.high * 0.9999F) << step;
  }
}

TEST(NarrowedGrid, CutsBothEndsAlike) {
  const AffineGrid whole = MinMaxGrid({-0.5F, 0.5F});
  const AffineGrid half = NarrowedGrid({-0.5F, 0.5F}, 0.5F, 0.0F);
  EXPECT_NEAR(half.scale, whole.scale / 2.0F, 1e-4F);
  EXPECT_NEAR(half.zero, 8.0F, 1.0F);
  EXPECT_EQ(NarrowedGrid({-0.5F, 0.5F}, 0.5F, 1.0F).zero, half.zero + 1.0F);
}

TEST(NarrowedGrid, KeepsItsZeroAmongTheCodes) {
  for (const float shift : {-1.0F, 0.0F, 1.0F}) {
    for (float factor = 0.5F; factor < 1.1F; factor += 0.05F) {
      const AffineGrid grid = NarrowedGrid({0.0F, 1.0F}, factor, shift);
      EXPECT_GE(grid.zero, 0.0F);
      EXPECT_LE(grid.zero, 15.0F);
    }
  }
}

}  // namespace
}  // namespace tyllm::quant
