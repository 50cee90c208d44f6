// SPDX-License-Identifier: Apache-2.0
#include "worker/die/elementwise.h"

#include <gtest/gtest.h>

#include "tests/worker/die/random_data.h"

namespace tyllm::die {
namespace {

TEST(SiluMul, MultipliesUpByTheGateTimesItsSigmoid) {
  constexpr std::size_t kWidth = 40;
  const std::vector<float> x = RandomFloats(3 * 2 * kWidth, 1);
  std::vector<float> out(3 * kWidth);
  SiluMul<kWidth>(x.data(), 3, out.data());
  for (std::size_t t = 0; t < 3; ++t) {
    for (std::size_t i = 0; i < kWidth; ++i) {
      const double gate = x[t * 2 * kWidth + i];
      const double expected = gate / (1.0 + std::exp(-gate)) * x[(t * 2 + 1) * kWidth + i];
      EXPECT_NEAR(out[t * kWidth + i], expected, 1e-6 * (1 + std::fabs(expected)));
    }
  }
}

TEST(SiluMul, LargeNegativeAndPositiveGatesAreFinite) {
  std::vector<float> x(16, 1.0F);
  x[0] = -1000.0F;
  x[1] = 1000.0F;
  x[2] = -88.5F;
  std::vector<float> out(8);
  SiluMul<8>(x.data(), 1, out.data());
  EXPECT_NEAR(out[0], 0.0F, 1e-30F);
  EXPECT_EQ(out[1], 1000.0F);
  EXPECT_NEAR(out[2], 0.0F, 1e-30F);
}

TEST(AddRows, AddsInPlace) {
  const std::vector<float> x = RandomFloats(2 * 24, 1);
  std::vector<float> sum = RandomFloats(2 * 24, 2);
  const std::vector<float> before = sum;
  AddRows<24>(x.data(), 2, sum.data());
  for (std::size_t i = 0; i < sum.size(); ++i) {
    EXPECT_EQ(sum[i], before[i] + x[i]);
  }
}

TEST(AddBias, AddsToEveryRow) {
  const std::vector<float> bias = RandomFloats(11, 1);
  std::vector<float> x = RandomFloats(3 * 11, 2);
  const std::vector<float> before = x;
  AddBias<11>(bias.data(), 3, x.data());
  for (std::size_t i = 0; i < x.size(); ++i) {
    EXPECT_EQ(x[i], before[i] + bias[i % 11]);
  }
}

}  // namespace
}  // namespace tyllm::die
