// SPDX-License-Identifier: Apache-2.0
#include "worker/die/elementwise.h"

#include <gtest/gtest.h>

#include "tests/worker/die/random_data.h"

namespace tyllm::die {
namespace {

TEST(SiluMul, MultipliesUpByTheGateTimesItsSigmoid) {
  constexpr std::size_t kWidth = 40;
  const std::vector<float> gates = RandomFloats(3 * kWidth, 1);
  const std::vector<float> ups = RandomFloats(3 * kWidth, 2);
  std::vector<float> out(3 * kWidth);
  SiluMul<kWidth>(gates.data(), ups.data(), 3, out.data());
  for (std::size_t i = 0; i < out.size(); ++i) {
    const double gate = gates[i];
    const double expected = gate / (1.0 + std::exp(-gate)) * ups[i];
    EXPECT_NEAR(out[i], expected, 1e-6 * (1 + std::fabs(expected)));
  }
}

TEST(SiluMul, LargeNegativeAndPositiveGatesAreFinite) {
  std::vector<float> gate(8, 1.0F);
  gate[0] = -1000.0F;
  gate[1] = 1000.0F;
  gate[2] = -88.5F;
  const std::vector<float> up(8, 1.0F);
  std::vector<float> out(8);
  SiluMul<8>(gate.data(), up.data(), 1, out.data());
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
