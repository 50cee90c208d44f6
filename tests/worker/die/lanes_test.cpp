// SPDX-License-Identifier: Apache-2.0
#include "worker/die/lanes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace tyllm::die {
namespace {

float HalfValue(unsigned bits) {
  const int exponent = static_cast<int>((bits >> 10U) & 31U);
  const auto mantissa = static_cast<float>(bits & 1023U);
  const float magnitude =
      exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024.0F + mantissa, exponent - 25);
  return (bits & 0x8000U) != 0 ? -magnitude : magnitude;
}

TEST(Lanes, EveryFiniteHalfBecomesItsValueAndComesBack) {
  for (unsigned first = 0; first < 65536; first += kLanes) {
    std::uint16_t halves[kLanes];
    for (unsigned i = 0; i < kLanes; ++i) {
      halves[i] = static_cast<std::uint16_t>(first + i);
    }
    if ((first & 0x7C00U) == 0x7C00U) {
      continue;
    }
    float values[kLanes];
    Store(values, LoadHalves(halves));
    std::uint16_t back[kLanes];
    StoreHalves(back, Load(values));
    for (unsigned i = 0; i < kLanes; ++i) {
      ASSERT_EQ(values[i], HalfValue(first + i)) << first + i;
      ASSERT_EQ(back[i], halves[i]);
    }
  }
}

TEST(Lanes, HalvesRoundToNearestEvenAndOverflowToInfinity) {
  const float values[kLanes] = {1.0F + 0x1p-11F, 1.0F + 0x1.8p-10F, 65519.0F, 65520.0F,
                                0x1p-25F,        0x1.8p-25F,        -1e30F,   0x1p-14F};
  const std::uint16_t expected[kLanes] = {0x3C00, 0x3C02, 0x7BFF, 0x7C00,
                                          0x0000, 0x0001, 0xFC00, 0x0400};
  std::uint16_t halves[kLanes];
  StoreHalves(halves, Load(values));
  for (int i = 0; i < kLanes; ++i) {
    EXPECT_EQ(halves[i], expected[i]) << values[i];
  }
}

TEST(Lanes, InfinityStaysInfinity) {
  const std::uint16_t halves[kLanes] = {0x7C00, 0xFC00};
  float values[kLanes];
  Store(values, LoadHalves(halves));
  EXPECT_EQ(values[0], std::numeric_limits<float>::infinity());
  EXPECT_EQ(values[1], -std::numeric_limits<float>::infinity());
}

TEST(Lanes, ExpIsAccurateToFloatPrecision) {
  for (float x = -87.0F; x < 87.0F; x += 0.0137F) {
    float values[kLanes];
    Store(values, Exp(Fill(x)));
    const double expected = std::exp(static_cast<double>(x));
    ASSERT_NEAR(values[3] / expected, 1.0, 3e-7) << x;
  }
}

TEST(Lanes, ExpOfMinusInfinityIsNothing) {
  float values[kLanes];
  Store(values, Exp(Fill(-std::numeric_limits<float>::infinity())));
  EXPECT_LT(values[0], 2e-38F);
  EXPECT_GE(values[0], 0.0F);
}

TEST(Lanes, MultiplyPairsAddsTheTwoProductsOfALane) {
  std::int16_t a[16];
  std::int16_t b[16];
  for (int i = 0; i < 16; ++i) {
    a[i] = static_cast<std::int16_t>(1000 * i - 7000);
    b[i] = static_cast<std::int16_t>(32767 - 4000 * i);
  }
  const Ints products = MultiplyPairs(LoadPairs(a), LoadPairs(b));
  std::int32_t lanes[kLanes];
  std::memcpy(lanes, &products, sizeof(lanes));
  for (int i = 0; i < kLanes; ++i) {
    EXPECT_EQ(lanes[i], a[2 * i] * b[2 * i] + a[2 * i + 1] * b[2 * i + 1]);
  }
}

TEST(Lanes, NarrowKeepsTheOrder) {
  float low[kLanes];
  float high[kLanes];
  for (int i = 0; i < kLanes; ++i) {
    low[i] = static_cast<float>(i) - 4.0F;
    high[i] = 100.0F + static_cast<float>(i);
  }
  std::int16_t narrow[16];
  StorePairs(narrow, Narrow(Round(Load(low)), Round(Load(high))));
  for (int i = 0; i < kLanes; ++i) {
    EXPECT_EQ(narrow[i], i - 4);
    EXPECT_EQ(narrow[i + kLanes], 100 + i);
  }
}

}  // namespace
}  // namespace tyllm::die
