// SPDX-License-Identifier: Apache-2.0
// The loops of every instruction set that this processor has; the contract test sees only the best.
#include "worker/tensor/vector_loops.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace tyllm::tensor {
namespace {

std::vector<const VectorLoops*> LoopsToTest() {
  std::vector<const VectorLoops*> all = {&BaselineLoops()};
  if (&LoopsForThisProcessor() != all.front()) {
    all.push_back(&LoopsForThisProcessor());
  }
  return all;
}

class Loops : public ::testing::TestWithParam<const VectorLoops*> {};

TEST_P(Loops, ExpIsAccurateOverItsWholeRange) {
  for (int i = -870000; i <= 880000; i += 7) {
    const float x = static_cast<float>(i) * 1e-4F;
    const double expected = std::exp(static_cast<double>(x));
    ASSERT_NEAR(static_cast<double>(GetParam()->sum_exp(&x, 1, 0.0F)), expected, expected * 2.4e-7)
        << x;
  }
}

TEST_P(Loops, ExpOfFarNegativeNumbersIsNextToNothing) {
  for (const float x : {-88.0F, -1000.0F, -1e30F, -INFINITY}) {
    EXPECT_LT(GetParam()->sum_exp(&x, 1, 0.0F), 2e-38F);
    EXPECT_GE(GetParam()->sum_exp(&x, 1, 0.0F), 0.0F);
  }
}

TEST_P(Loops, NotANumberIsNotLost) {
  for (std::size_t at = 0; at < 19; ++at) {
    std::vector<float> x(19, 0.5F);
    x[at] = std::nanf("");
    EXPECT_TRUE(std::isnan(GetParam()->sum_exp(x.data(), 19, 1.0F))) << at;
    EXPECT_TRUE(std::isnan(GetParam()->sum_squares(x.data(), 19))) << at;
    std::vector<float> out(19);
    GetParam()->silu_mul(x.data(), x.data(), out.data(), 19);
    EXPECT_TRUE(std::isnan(out[at])) << at;
    EXPECT_TRUE(std::isnan(GetParam()->exp_in_place(x.data(), 19, 1.0F))) << at;
  }
}

TEST_P(Loops, EveryLengthUsesEveryElementOnceAndNoneBeyond) {
  for (std::int64_t n = 1; n <= 40; ++n) {
    std::vector<float> x(static_cast<std::size_t>(n) + 8, 1e9F);
    double squares = 0.0;
    double exps = 0.0;
    for (std::int64_t i = 0; i < n; ++i) {
      x[static_cast<std::size_t>(i)] = -0.25F * static_cast<float>(i % 17);
      squares += std::pow(0.25 * static_cast<double>(i % 17), 2);
      exps += std::exp(-0.25 * static_cast<double>(i % 17));
    }
    EXPECT_EQ(GetParam()->max(x.data(), n), 0.0F);
    EXPECT_NEAR(GetParam()->sum_squares(x.data(), n), squares, 1e-5 * squares);
    EXPECT_NEAR(GetParam()->sum_exp(x.data(), n, 0.0F), exps, 1e-5 * exps);
    EXPECT_NEAR(GetParam()->exp_in_place(x.data(), n, 0.0F), exps, 1e-5 * exps);
    EXPECT_EQ(x[0], 1.0F);
    GetParam()->scale(x.data(), 2.0F, n);
    EXPECT_EQ(x[0], 2.0F);
    for (std::size_t i = static_cast<std::size_t>(n); i < x.size(); ++i) {
      ASSERT_EQ(x[i], 1e9F) << "wrote beyond the end";
    }
  }
}

TEST_P(Loops, MaxFindsTheLargestAtEveryPlace) {
  for (std::size_t at = 0; at < 37; ++at) {
    std::vector<float> x(37, -3.0F);
    x[at] = -1.0F;
    EXPECT_EQ(GetParam()->max(x.data(), 37), -1.0F) << at;
  }
}

INSTANTIATE_TEST_SUITE_P(InstructionSets, Loops, ::testing::ValuesIn(LoopsToTest()),
                         [](const auto& instance) { return std::string(instance.param->name); });

}  // namespace
}  // namespace tyllm::tensor
