// SPDX-License-Identifier: Apache-2.0
#include "worker/forward/sampling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <vector>

namespace tyllm::forward {
namespace {

// Probabilities 0.5, 0.25, 0.125, 0.125 at temperature 1.
const std::vector<float> kLogits = {std::log(0.125F), std::log(0.5F), std::log(0.25F),
                                    std::log(0.125F)};

std::map<std::int32_t, double> SharesOf(const SamplingOptions& options, int draws = 20000) {
  Sampler sampler(options);
  std::map<std::int32_t, double> shares;
  for (int i = 0; i < draws; ++i) {
    shares[sampler.Choose(kLogits)] += 1.0 / draws;
  }
  return shares;
}

TEST(SamplerTest, WithoutTemperatureTheFirstOfTheLikeliestIsTaken) {
  Sampler sampler(SamplingOptions{});
  EXPECT_EQ(sampler.Choose(kLogits), 1);
  EXPECT_EQ(sampler.Choose(std::vector<float>{1, 3, 3}), 1);
}

TEST(SamplerTest, DrawsFollowTheProbabilities) {
  const auto shares = SharesOf({.temperature = 1});
  EXPECT_NEAR(shares.at(1), 0.5, 0.02);
  EXPECT_NEAR(shares.at(2), 0.25, 0.02);
  EXPECT_NEAR(shares.at(0), 0.125, 0.02);
  EXPECT_NEAR(shares.at(3), 0.125, 0.02);
}

TEST(SamplerTest, TheTemperatureSharpens) {
  // Squares of the probabilities: 16 : 4 : 1 : 1.
  const auto shares = SharesOf({.temperature = 0.5});
  EXPECT_NEAR(shares.at(1), 16.0 / 22, 0.02);
  EXPECT_NEAR(shares.at(2), 4.0 / 22, 0.02);
}

TEST(SamplerTest, TopKKeepsTheLikeliest) {
  const auto shares = SharesOf({.temperature = 1, .top_k = 2});
  ASSERT_EQ(shares.size(), 2U);
  EXPECT_NEAR(shares.at(1), 2.0 / 3, 0.02);
  EXPECT_NEAR(shares.at(2), 1.0 / 3, 0.02);
}

TEST(SamplerTest, TopPKeepsTheFewestThatReachIt) {
  const auto shares = SharesOf({.temperature = 1, .top_p = 0.6});
  ASSERT_EQ(shares.size(), 2U);
  EXPECT_TRUE(shares.contains(1) && shares.contains(2));
  EXPECT_EQ(SharesOf({.temperature = 1, .top_p = 0.4}).size(), 1U);
  EXPECT_EQ(SharesOf({.temperature = 1, .top_p = 0.9}).size(), 4U);
}

TEST(SamplerTest, TopPIsTakenOfWhatTopKLeaves) {
  // Of 2/3 and 1/3.
  EXPECT_EQ(SharesOf({.temperature = 1, .top_p = 0.6, .top_k = 2}).size(), 1U);
  EXPECT_EQ(SharesOf({.temperature = 1, .top_p = 0.7, .top_k = 2}).size(), 2U);
}

TEST(SamplerTest, EqualSeedsGiveEqualTokens) {
  const auto draw = [](std::int64_t seed) {
    Sampler sampler({.temperature = 1, .seed = seed});
    std::vector<std::int32_t> tokens;
    for (int i = 0; i < 50; ++i) {
      tokens.push_back(sampler.Choose(kLogits));
    }
    return tokens;
  };
  EXPECT_EQ(draw(7), draw(7));
  EXPECT_NE(draw(7), draw(8));
}

TEST(SamplerTest, OptionsOutOfRangeAreNamed) {
  EXPECT_NE(Check({.temperature = -1}).message().find("temperature"), std::string::npos);
  EXPECT_FALSE(Check({.temperature = std::nan("")}).ok());
  EXPECT_NE(Check({.top_p = 0}).message().find("top-p"), std::string::npos);
  EXPECT_FALSE(Check({.top_p = 1.5}).ok());
  EXPECT_NE(Check({.top_k = -1}).message().find("top-k"), std::string::npos);
  EXPECT_TRUE(Check({}).ok());
}

}  // namespace
}  // namespace tyllm::forward
