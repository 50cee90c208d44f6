// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/scale_candidates.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/worker/quant/cpu_machine.h"
#include "tests/worker/quant/made_statistics.h"
#include "worker/quant/scale_choice.h"

namespace tyllm::quant {
namespace {

using testing::MadeInputs;
using testing::MadeMatrix;
using testing::StatisticsOf;

const std::vector<float> kMeanAbs = {0.1F, 2.0F, 0.5F, 8.0F};
const std::vector<float> kMeanWeight = {0.3F, 0.2F, 0.4F, 0.1F};
const std::vector<std::int64_t> kOwnChannels = {0, 1, 2, 3};

TEST(ScaleCandidates, BeginWithTheIdentity) {
  const auto candidates = MakeScaleCandidates(kMeanAbs, kMeanWeight, kOwnChannels, 4);
  EXPECT_EQ(candidates.front().formula, ScaleFormula::kIdentity);
  EXPECT_EQ(candidates.front().scales, std::vector<float>(4, 1.0F));
  EXPECT_EQ(candidates.size(), 1U + 20U + 21U);
}

TEST(ScaleCandidates, AreFiniteAndCentred) {
  // A channel that is never used must not break the others.
  const std::vector<float> mean_abs = {0.0F, 2.0F, 0.5F, 60000.0F};
  for (const auto& c : MakeScaleCandidates(mean_abs, kMeanWeight, kOwnChannels, 4)) {
    const auto [low, high] = std::ranges::minmax(c.scales);
    EXPECT_GT(low, 0.0F);
    EXPECT_TRUE(std::isfinite(high));
    EXPECT_NEAR(low * high, 1.0F, 1e-3F);
  }
}

TEST(ScaleCandidates, HoldAutoAwqsFormula) {
  const auto candidates = MakeScaleCandidates(kMeanAbs, kMeanWeight, kOwnChannels, 4);
  const auto duo = std::ranges::find_if(candidates, [](const ScaleCandidate& c) {
    return c.formula == ScaleFormula::kDuo && c.ratio == 0.25;
  });
  ASSERT_NE(duo, candidates.end());
  const auto raw = [](double x, double w) {
    return std::pow(x, 0.25) / (std::pow(w, 0.75) + 1e-4);
  };
  EXPECT_NEAR(duo->scales[3] / duo->scales[0], raw(8.0, 0.1) / raw(0.1, 0.3), 1e-3);
}

TEST(ScaleCandidates, AreEqualWithinAChannelOfTheProducer) {
  const std::vector<std::int64_t> shared = {0, 1, 0, 1};
  for (const auto& c : MakeScaleCandidates(kMeanAbs, kMeanWeight, shared, 2)) {
    EXPECT_EQ(c.scales[0], c.scales[2]);
    EXPECT_EQ(c.scales[1], c.scales[3]);
  }
}

TEST(MeanRelativeWeight, ComparesEachWeightWithItsGroup) {
  const tensor::Matrix w(1, 4, {1.0F, -2.0F, 10.0F, 5.0F});
  const std::vector<tensor::MatrixView> views = {w.view()};
  const std::vector<float> means = MeanRelativeWeight(views, 2);
  EXPECT_NEAR(means[0], 0.5F, 1e-5F);
  EXPECT_NEAR(means[1], 1.0F, 1e-5F);
  EXPECT_NEAR(means[2], 1.0F, 1e-5F);
  EXPECT_NEAR(means[3], 0.5F, 1e-5F);
}

/// Candidates for a linear layer with loud inputs.
class ScaleSearch : public ::testing::TestWithParam<std::int64_t> {
 protected:
  std::vector<ScaleCandidate> Candidates() const {
    std::vector<std::int64_t> channels(64);
    std::iota(channels.begin(), channels.end(), 0);
    const std::vector<tensor::MatrixView> views = {w_.view()};
    return MakeScaleCandidates(statistics_.mean_abs, MeanRelativeWeight(views, 32), channels, 64);
  }

  InputStatistics statistics_ = StatisticsOf(MadeInputs("inputs", 150, 64));
  tensor::Matrix w_ = MadeMatrix("weights", GetParam(), 64);
  std::vector<double> even_ = std::vector<double>(static_cast<std::size_t>(GetParam()), 1.0);
  testing::CpuMachine cpu_;
};

TEST_P(ScaleSearch, FindsScalesThatProtectLoudChannels) {
  const std::vector<WeighedLinear> linears = {{w_.view(), even_}};
  const auto candidates = Candidates();
  const ScaleCandidate best =
      BestScales(candidates, linears, statistics_.gram.view(), 32, cpu_.machine);
  const std::vector<double> errors =
      cpu_.kernels.ScaledErrors(candidates, linears, statistics_.gram.view(), 32);
  const double error =
      cpu_.kernels.ScaledErrors({&best, 1}, linears, statistics_.gram.view(), 32).front();
  EXPECT_LT(error, 0.9 * errors.front());
  EXPECT_LE(error, 1.002 * std::ranges::min(errors));
  EXPECT_GT(best.scales[3], best.scales[0]);  // column 3 is one of the loud ones
}

TEST_P(ScaleSearch, KeepsTheFirstOfEquals) {
  const std::vector<WeighedLinear> linears = {{w_.view(), even_}};
  std::vector<ScaleCandidate> candidates(12, Candidates().front());
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    candidates[i].ratio = static_cast<double>(i);
  }
  const ScaleCandidate best =
      BestScales(candidates, linears, statistics_.gram.view(), 32, cpu_.machine);
  EXPECT_EQ(best.ratio, 0.0);
}

// Few rows, all of which are tried; a sample of odd length; one run in eight.
INSTANTIATE_TEST_SUITE_P(Rows, ScaleSearch, ::testing::Values(48, 517, 1200));

}  // namespace
}  // namespace tyllm::quant
