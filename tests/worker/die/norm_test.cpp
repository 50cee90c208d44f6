// SPDX-License-Identifier: Apache-2.0
#include "worker/die/norm.h"

#include <gtest/gtest.h>

#include "tests/worker/die/random_data.h"

namespace tyllm::die {
namespace {

constexpr float kEpsilon = 1e-6F;

double Scale(const float* x, int width) {
  double sum = 0;
  for (int i = 0; i < width; ++i) {
    sum += static_cast<double>(x[i]) * x[i];
  }
  return 1.0 / std::sqrt(sum / width + kEpsilon);
}

template <int Width>
void CheckRmsNorm() {
  constexpr std::uint32_t kTokens = 3;
  const std::vector<float> x = RandomFloats(kTokens * Width, 1);
  const std::vector<float> weight = RandomFloats(Width, 2);
  std::vector<float> out(kTokens * Width);
  RmsNorm<Width>(x.data(), weight.data(), kEpsilon, kTokens, out.data());
  for (std::size_t t = 0; t < kTokens; ++t) {
    const double scale = Scale(x.data() + t * Width, Width);
    for (std::size_t i = 0; i < Width; ++i) {
      const double expected = x[t * Width + i] * scale * weight[i];
      ASSERT_NEAR(out[t * Width + i], expected, 1e-6 * (1 + std::fabs(expected)));
    }
  }
}

TEST(RmsNorm, DividesByTheRootMeanSquareAtAnyWidth) {
  CheckRmsNorm<8>();
  CheckRmsNorm<64>();
  CheckRmsNorm<72>();
  CheckRmsNorm<1024>();
  CheckRmsNorm<3584>();
}

TEST(RmsNorm, ZerosStayZeros) {
  const std::vector<float> x(64, 0.0F);
  const std::vector<float> weight(64, 1.0F);
  std::vector<float> out(64, 1.0F);
  RmsNorm<64>(x.data(), weight.data(), kEpsilon, 1, out.data());
  EXPECT_EQ(out, x);
}

TEST(HeadRmsNorm, NormsEachHeadOfStridedRowsInPlaceAndNothingElse) {
  constexpr std::size_t kStride = 3 * 16 + 5;
  const std::vector<float> before = RandomFloats(2 * kStride, 3);
  const std::vector<float> weight = RandomFloats(16, 4);
  std::vector<float> x = before;
  HeadRmsNorm<3, 16>(x.data(), kStride, weight.data(), kEpsilon, 2);
  for (std::size_t t = 0; t < 2; ++t) {
    for (std::size_t h = 0; h < 3; ++h) {
      const std::size_t at = t * kStride + h * 16;
      const double scale = Scale(before.data() + at, 16);
      for (std::size_t i = 0; i < 16; ++i) {
        EXPECT_NEAR(x[at + i], before[at + i] * scale * weight[i], 1e-4);
      }
    }
    for (std::size_t i = 48; i < kStride; ++i) {
      EXPECT_EQ(x[t * kStride + i], before[t * kStride + i]);
    }
  }
}

}  // namespace
}  // namespace tyllm::die
