// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/stepped_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace tyllm::simulator {
namespace {

constexpr std::int64_t kColumns = 2 * kStepBlock + 77;

std::vector<float> RandomRows(std::int64_t rows, float deviation) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(3, deviation);
  std::vector<float> out(static_cast<std::size_t>(rows * kColumns));
  std::ranges::generate(out, [&] { return normal(random); });
  return out;
}

TEST(SteppedRows, NumbersComeBackWithinHalfAStepOfTheirBlock) {
  for (const float deviation : {1e-6F, 1.0F, 1e4F}) {
    const std::vector<float> numbers = RandomRows(3, deviation);
    const SteppedRows rows = ToSteps(numbers, kColumns);
    ASSERT_EQ(std::ssize(rows.blocks), 3 * StepBlocks(kColumns) * 2);
    const std::vector<float> back = FromSteps(rows, kColumns);
    ASSERT_EQ(back.size(), numbers.size());
    for (std::size_t r = 0; r < 3; ++r) {
      for (std::int64_t first = 0; first < kColumns; first += kStepBlock) {
        const std::size_t at = r * kColumns + static_cast<std::size_t>(first);
        const auto count = static_cast<std::size_t>(std::min(kStepBlock, kColumns - first));
        const auto [low, high] = std::ranges::minmax(std::span(numbers).subspan(at, count));
        const double allowed = (high - low) / 131'070.0 + std::fabs(high) * 1e-7;
        for (std::size_t i = at; i < at + count; ++i) {
          ASSERT_NEAR(back[i], numbers[i], allowed) << i << ", deviation " << deviation;
        }
      }
    }
  }
}

TEST(SteppedRows, EqualNumbersComeBackAsTheyWere) {
  const std::vector<float> numbers(300, -7.25F);
  EXPECT_EQ(FromSteps(ToSteps(numbers, 300), 300), numbers);
}

TEST(SteppedRows, ABlockThatIsNotFiniteIsNotANumber) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    std::vector<float> numbers = RandomRows(1, 1.0F);
    numbers[kStepBlock + 5] = bad;
    const std::vector<float> back = FromSteps(ToSteps(numbers, kColumns), kColumns);
    for (std::int64_t i = 0; i < kColumns; ++i) {
      EXPECT_EQ(std::isnan(back[static_cast<std::size_t>(i)]), i / kStepBlock == 1) << i;
    }
  }
}

}  // namespace
}  // namespace tyllm::simulator
