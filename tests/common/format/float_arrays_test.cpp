// SPDX-License-Identifier: Apache-2.0
#include "common/format/float_arrays.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "common/format/float16.h"

namespace tyllm::format {
namespace {

std::vector<std::uint16_t> AllBitPatterns() {
  std::vector<std::uint16_t> patterns(1 << 16);
  for (std::size_t i = 0; i < patterns.size(); ++i) {
    patterns[i] = static_cast<std::uint16_t>(i);
  }
  return patterns;
}

bool Same(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) ||
         (std::isnan(a) && std::isnan(b));
}

TEST(FloatArrays, EveryHalfIsWhatTheScalarFunctionSays) {
  const std::vector<std::uint16_t> patterns = AllBitPatterns();
  std::vector<float> floats(patterns.size());
  HalvesToFloats(std::as_bytes(std::span(patterns)), floats);
  for (std::size_t i = 0; i < patterns.size(); ++i) {
    ASSERT_TRUE(Same(floats[i], HalfToFloat(patterns[i]))) << i;
  }
}

TEST(FloatArrays, EveryBFloat16IsWhatTheScalarFunctionSays) {
  const std::vector<std::uint16_t> patterns = AllBitPatterns();
  std::vector<float> floats(patterns.size());
  BFloat16sToFloats(std::as_bytes(std::span(patterns)), floats);
  for (std::size_t i = 0; i < patterns.size(); ++i) {
    ASSERT_TRUE(Same(floats[i], BFloat16ToFloat(patterns[i]))) << i;
  }
}

TEST(FloatArrays, FloatsRoundAsTheScalarFunctionsDoAtEveryLength) {
  std::vector<float> floats = {std::numeric_limits<float>::infinity(),
                               -std::numeric_limits<float>::infinity(),
                               65519.99F,
                               65520.0F,
                               5.9604644775390625e-8F,
                               2.98e-8F,
                               2.99e-8F};
  for (std::uint32_t bits = 0x30000000U; bits < 0x48000000U; bits += 0x1377U) {
    floats.push_back(std::bit_cast<float>(bits));
    floats.push_back(-floats.back());
  }
  for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{9}, floats.size()}) {
    const std::span<const float> part(floats.data(), count);
    std::vector<std::uint16_t> halves(count);
    std::vector<std::uint16_t> bfloats(count);
    FloatsToHalves(part, halves);
    FloatsToBFloat16s(part, bfloats);
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_EQ(halves[i], FloatToHalf(floats[i])) << floats[i];
      ASSERT_EQ(bfloats[i], FloatToBFloat16(floats[i])) << floats[i];
    }
  }
}

}  // namespace
}  // namespace tyllm::format
