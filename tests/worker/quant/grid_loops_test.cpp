// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/grid_loops.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/support/model_directory.h"

namespace tyllm::quant {
namespace {

using testing::MadeFloats;

struct Outcome {
  std::vector<std::uint8_t> codes;
  std::vector<float> errors;
  float low = 0.0F;
  float high = 0.0F;
  float dot = 0.0F;

  bool operator==(const Outcome&) const = default;
};

Outcome Everything(const GridLoops& loops, std::int64_t n) {
  const std::vector<float> w = MadeFloats("weights", n);
  const std::vector<float> other = MadeFloats("other", n);
  Outcome outcome;
  outcome.codes.resize(w.size());
  outcome.errors.resize(w.size());
  loops.round(w.data(), n, 0.109375F, 7.0F, outcome.codes.data());
  loops.errors(w.data(), n, 0.109375F, 7.0F, outcome.errors.data());
  loops.range(w.data(), n, &outcome.low, &outcome.high);
  outcome.dot = loops.dot(w.data(), other.data(), n);
  return outcome;
}

TEST(GridLoops, GiveTheSameNumbersWithEveryInstructionSet) {
  for (const std::int64_t n : {1, 15, 16, 17, 128, 131}) {
    EXPECT_TRUE(Everything(BaselineGridLoops(), n) == Everything(GridLoopsForThisProcessor(), n))
        << n;
  }
}

TEST(GridLoops, RoundAsTheDefinitionSays) {
  const std::vector<float> w = MadeFloats("weights", 500);
  const Outcome outcome = Everything(GridLoopsForThisProcessor(), 500);
  double dot = 0.0;
  const std::vector<float> other = MadeFloats("other", 500);
  for (std::size_t i = 0; i < w.size(); ++i) {
    const double code = std::clamp(std::nearbyint(w[i] / 0.109375) + 7.0, 0.0, 15.0);
    EXPECT_EQ(outcome.codes[i], static_cast<int>(code));
    EXPECT_NEAR(outcome.errors[i], (code - 7.0) * 0.109375 - w[i], 1e-6);
    dot += static_cast<double>(w[i]) * other[i];
  }
  EXPECT_NEAR(outcome.dot, dot, 1e-4);
}

TEST(GridLoops, RoundHalvesToEven) {
  const std::vector<float> w = {0.5F, 1.5F, 2.5F, -0.5F, -1.5F};
  std::vector<std::uint8_t> codes(w.size());
  GridLoopsForThisProcessor().round(w.data(), 5, 1.0F, 4.0F, codes.data());
  EXPECT_EQ(codes, (std::vector<std::uint8_t>{4, 6, 6, 4, 2}));
}

}  // namespace
}  // namespace tyllm::quant
