// SPDX-License-Identifier: Apache-2.0
#include "common/base/portable_math.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>

namespace tyllm {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kMostError = 0x1p-50;

/// `check` of 200,000 numbers from `low` to `high`.
void ForNumbers(double low, double high, const std::function<void(double)>& check) {
  constexpr int kCount = 200000;
  for (int i = 0; i <= kCount; ++i) {
    check(low + (high - low) * static_cast<double>(i) / kCount);
  }
}

void ExpectRelative(double found, long double exact, double x) {
  const auto error = static_cast<double>(std::fabs(static_cast<long double>(found) - exact));
  EXPECT_LE(error, kMostError * static_cast<double>(std::fabs(exact))) << x;
}

TEST(PortableMath, ExpIsNear) {
  ForNumbers(-708, 709, [](double x) {
    ExpectRelative(PortableExp(x), std::exp(static_cast<long double>(x)), x);
  });
  ForNumbers(-1, 1, [](double x) {
    ExpectRelative(PortableExp(x), std::exp(static_cast<long double>(x)), x);
  });
  EXPECT_EQ(PortableExp(0.0), 1.0);
}

TEST(PortableMath, ExpHasEnds) {
  EXPECT_EQ(PortableExp(-kInfinity), 0.0);
  EXPECT_EQ(PortableExp(-1e300), 0.0);
  EXPECT_EQ(PortableExp(1e300), kInfinity);
  EXPECT_TRUE(std::isnan(PortableExp(std::nan(""))));
}

TEST(PortableMath, LogIsNear) {
  for (const double high : {1e-300, 1.0, 2.0, 1e6, 1e300}) {
    ForNumbers(high / 200000, high, [](double x) {
      ExpectRelative(PortableLog(x), std::log(static_cast<long double>(x)), x);
    });
  }
  EXPECT_EQ(PortableLog(1.0), 0.0);
  EXPECT_EQ(PortableLog(kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(PortableLog(std::nan(""))));
}

TEST(PortableMath, PowOfRopesBasesIsTheExactOneRounded) {
  for (const float base : {1e4F, 2.5e4F, 1.5e5F, 5e5F, 1e6F, 5e6F, 1e7F}) {
    for (int size = 16; size <= 256; size += 8) {
      for (int i = 0; i < size; i += 2) {
        const float exponent = static_cast<float>(i) / static_cast<float>(size);
        const auto exact = static_cast<float>(
            std::pow(static_cast<long double>(base), static_cast<long double>(exponent)));
        ASSERT_EQ(PortablePow(base, exponent), exact) << base << " ^ " << exponent;
      }
    }
  }
}

TEST(PortableMath, SinAndCosAreNear) {
  for (const double most : {0.8, 10.0, 1.6e6}) {
    ForNumbers(-most, most, [](double x) {
      const auto exact = static_cast<long double>(x);
      EXPECT_NEAR(PortableSin(x), static_cast<double>(std::sin(exact)), kMostError) << x;
      EXPECT_NEAR(PortableCos(x), static_cast<double>(std::cos(exact)), kMostError) << x;
    });
  }
  EXPECT_EQ(PortableSin(0.0), 0.0);
  EXPECT_EQ(PortableCos(0.0), 1.0);
}

TEST(PortableMath, ErfIsNear) {
  ForNumbers(-7, 7, [](double x) {
    EXPECT_NEAR(PortableErf(x), static_cast<double>(std::erf(static_cast<long double>(x))), 0x1p-49)
        << x;
  });
  EXPECT_EQ(PortableErf(kInfinity), 1.0);
  EXPECT_EQ(PortableErf(-kInfinity), -1.0);
  EXPECT_TRUE(std::isnan(PortableErf(std::nan(""))));
}

/// Of machines with and without fused multiply-adds, and of every C library.
TEST(PortableMath, TheBitsAreKnown) {
  std::uint64_t digest = 0xcbf29ce484222325U;
  const auto add = [&](double number) {
    digest = (digest ^ std::bit_cast<std::uint64_t>(number)) * 0x100000001b3U;
  };
  for (int i = 1; i < 20000; ++i) {
    const double x = static_cast<double>(i) / 64;
    add(PortableExp(x / 8));
    add(PortableExp(-x));
    add(PortableLog(x));
    add(PortableSin(x * 1024));
    add(PortableCos(x));
    add(PortableErf(x / 64));
    add(static_cast<double>(PortablePow(static_cast<float>(x), 0.625F)));
  }
  EXPECT_EQ(digest, 0x5d8833c941bb98e7U);
}

}  // namespace
}  // namespace tyllm
