// SPDX-License-Identifier: Apache-2.0
#include "worker/die/rope.h"

#include <gtest/gtest.h>

#include "tests/worker/die/random_data.h"

namespace tyllm::die {
namespace {

TEST(Rope, RotatesHalvesByTheAngleOfThePosition) {
  constexpr int kHead = 32;
  constexpr std::size_t kStride = 2 * kHead + 3;
  std::vector<float> frequencies(kHead / 2);
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    frequencies[i] = static_cast<float>(std::pow(1e4, -2.0 * static_cast<double>(i) / kHead));
  }
  std::vector<float> table(RopeTableFloats(3, kHead));
  RopeTable<kHead>(frequencies.data(), 1000, 3, table.data());
  const std::vector<float> before = RandomFloats(3 * kStride, 1);
  std::vector<float> x = before;
  Rope<2, kHead>(x.data(), kStride, table.data(), 3);
  for (std::size_t t = 0; t < 3; ++t) {
    for (std::size_t h = 0; h < 2; ++h) {
      for (std::size_t i = 0; i < kHead / 2; ++i) {
        const double angle = static_cast<float>(1000 + t) * frequencies[i];
        const std::size_t at = t * kStride + h * kHead + i;
        const double low = before[at];
        const double high = before[at + kHead / 2];
        EXPECT_NEAR(x[at], low * std::cos(angle) - high * std::sin(angle), 1e-5);
        EXPECT_NEAR(x[at + kHead / 2], high * std::cos(angle) + low * std::sin(angle), 1e-5);
      }
    }
    EXPECT_EQ(x[t * kStride + 64], before[t * kStride + 64]);
  }
}

TEST(Rope, TableOfAPositionDoesNotDependOnTheBlock) {
  const std::vector<float> frequencies = {1.0F, 0.5F, 0.25F, 0.125F, 0.1F, 0.05F, 0.01F, 0.001F};
  std::vector<float> block(RopeTableFloats(8, 16));
  RopeTable<16>(frequencies.data(), 5, 8, block.data());
  for (std::uint32_t t = 0; t < 8; ++t) {
    std::vector<float> alone(16);
    RopeTable<16>(frequencies.data(), 5 + t, 1, alone.data());
    EXPECT_EQ(alone, std::vector<float>(block.begin() + t * 16, block.begin() + (t + 1) * 16));
  }
}

}  // namespace
}  // namespace tyllm::die
