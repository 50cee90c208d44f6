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
  float squares = 0.0F;
  std::vector<float> sums;
  std::vector<float> compensated;
  std::vector<float> scores;

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
  outcome.squares = loops.weighed_squares(w.data(), other.data(), n, 0.109375F, 7.0F);
  outcome.sums = other;
  loops.add_scaled(w.data(), 0.7F, n, outcome.sums.data());
  const std::vector<float> feedback = MadeFloats("feedback", n * n);
  std::vector<float> steps;
  std::vector<float> zeros;
  for (int lane = 0; lane < kGridLanes; ++lane) {
    steps.push_back(0.1F + 0.01F * static_cast<float>(lane));
    zeros.push_back(static_cast<float>(lane));
  }
  outcome.compensated.resize(static_cast<std::size_t>(n * kGridLanes));
  outcome.scores.resize(kGridLanes);
  loops.compensate({.target = w.data(),
                    .weights = w.data(),
                    .feedback = feedback.data(),
                    .stride = n,
                    .cost = other.data(),
                    .count = n},
                   steps.data(), zeros.data(), outcome.compensated.data(), outcome.scores.data());
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

TEST(GridLoops, CompensateByWhatTheColumnsBeforeAskFor) {
  constexpr std::size_t kColumns = 3;
  const std::vector<float> w = {0.3F, 0.4F, -0.2F};
  const std::vector<float> feedback = {0, 0.5F, 0.25F, 0, 0, -1.0F, 0, 0, 0};
  const std::vector<float> cost = {1.0F, 2.0F, 3.0F};
  const std::vector<float> steps(kGridLanes, 1.0F);
  const std::vector<float> zeros(kGridLanes, 5.0F);
  std::vector<float> errors(kColumns * kGridLanes);
  std::vector<float> scores(kGridLanes);
  GridLoopsForThisProcessor().compensate({.target = w.data(),
                                          .weights = w.data(),
                                          .feedback = feedback.data(),
                                          .stride = kColumns,
                                          .cost = cost.data(),
                                          .count = kColumns},
                                         steps.data(), zeros.data(), errors.data(), scores.data());
  // 0.3 -> 0, off by -0.3, so 0.4 aims at 0.55 -> 1, off by 0.6, so -0.2 aims at 0.475 -> 0.
  EXPECT_FLOAT_EQ(errors[0], -0.3F);
  EXPECT_FLOAT_EQ(errors[kGridLanes], 0.6F);
  EXPECT_FLOAT_EQ(errors[2 * kGridLanes], 0.2F);
  EXPECT_NEAR(scores[0], 0.3 * 0.3 + 2 * 0.45 * 0.45 + 3 * 0.475 * 0.475, 1e-6);
}

TEST(GridLoops, RoundHalvesToEven) {
  const std::vector<float> w = {0.5F, 1.5F, 2.5F, -0.5F, -1.5F};
  std::vector<std::uint8_t> codes(w.size());
  GridLoopsForThisProcessor().round(w.data(), 5, 1.0F, 4.0F, codes.data());
  EXPECT_EQ(codes, (std::vector<std::uint8_t>{4, 6, 6, 4, 2}));
}

}  // namespace
}  // namespace tyllm::quant
