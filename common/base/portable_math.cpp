// SPDX-License-Identifier: Apache-2.0
// Compiled with -ffp-contract=off: nothing is fused that is not written so.
#include "common/base/portable_math.h"

#include <bit>
#include <cstdint>
#include <limits>

namespace tyllm {

namespace {

/// 1.5 * 2^52: adding it rounds to a whole number, which stands in the lowest bits then.
constexpr double kRound = 6755399441055744.0;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// ln 2 in two parts; products of the first one with whole numbers below 2^20 are exact.
constexpr double kLn2High = 0x1.62e42feep-1;
constexpr double kLn2Low = 0x1.a39ef35793c76p-33;

double PowerOfTwo(std::int64_t exponent) {
  return std::bit_cast<double>((exponent + 1023) << 52U);
}

/// An angle as a number of quarter turns and a rest of at most an eighth.
struct Angle {
  std::int64_t quarters = 0;
  double rest = 0;
};

/// Pi / 2 in three parts; products of the first two with whole numbers below 2^20 are exact.
Angle Reduce(double x) {
  constexpr double kHigh = 0x1.921fb544p+0;
  constexpr double kMiddle = 0x1.0b4611a6p-34;
  constexpr double kLow = 0x1.3198a2e037073p-69;
  const double whole = (x * 0x1.45f306dc9c883p-1 + kRound) - kRound;
  return {static_cast<std::int64_t>(whole), ((x - whole * kHigh) - whole * kMiddle) - whole * kLow};
}

/// The Taylor series, as far as it counts for at most pi / 4.
double SinOfRest(double x) {
  const double s = x * x;
  double p = 1.0 / 355687428096000.0;
  p = p * s - 1.0 / 1307674368000.0;
  p = p * s + 1.0 / 6227020800.0;
  p = p * s - 1.0 / 39916800.0;
  p = p * s + 1.0 / 362880.0;
  p = p * s - 1.0 / 5040.0;
  p = p * s + 1.0 / 120.0;
  p = p * s - 1.0 / 6.0;
  return x + x * s * p;
}

double CosOfRest(double x) {
  const double s = x * x;
  double p = -1.0 / 6402373705728000.0;
  p = p * s + 1.0 / 20922789888000.0;
  p = p * s - 1.0 / 87178291200.0;
  p = p * s + 1.0 / 479001600.0;
  p = p * s - 1.0 / 3628800.0;
  p = p * s + 1.0 / 40320.0;
  p = p * s - 1.0 / 720.0;
  p = p * s + 1.0 / 24.0;
  return 1.0 - (0.5 * s - s * s * p);
}

/// Where `quarters` more quarter turns lead to.
double SinAfter(const Angle& angle, std::int64_t quarters) {
  const std::int64_t at = (angle.quarters + quarters) & 3;
  const double value = at % 2 == 0 ? SinOfRest(angle.rest) : CosOfRest(angle.rest);
  return at < 2 ? value : -value;
}

template <std::size_t N>
double Polynomial(const double (&factors)[N], double x) {
  double sum = factors[0];
  for (std::size_t i = 1; i < N; ++i) {
    sum = sum * x + factors[i];
  }
  return sum;
}

}  // namespace

double PortableExp(double x) {
  if (x > 709.7) {
    return kInfinity;
  }
  if (x < -708.3) {
    return 0.0;
  }
  if (!(x == x)) {
    return x;
  }
  const double whole = (x * 0x1.71547652b82fep+0 + kRound) - kRound;
  const double r = (x - whole * kLn2High) - whole * kLn2Low;
  // 1 + r + r^2 / 2 + r^3 (1 / 3! + r / 4! + ... + r^10 / 13!), in pairs that do not wait for each
  // other.
  const double s = r * r;
  const double q = s * s;
  const double a = (1.0 / 6.0 + r * (1.0 / 24.0)) + s * (1.0 / 120.0 + r * (1.0 / 720.0));
  const double b =
      (1.0 / 5040.0 + r * (1.0 / 40320.0)) + s * (1.0 / 362880.0 + r * (1.0 / 3628800.0));
  const double c = (1.0 / 39916800.0 + r * (1.0 / 479001600.0)) + s * (1.0 / 6227020800.0);
  const double rest = s * r * (a + q * (b + q * c));
  const double value = 1.0 + (r + (0.5 * s + rest));
  const auto exponent = static_cast<std::int64_t>(whole);
  const std::int64_t half = exponent / 2;  // 2^1024 is no number, and its root is one
  return value * PowerOfTwo(half) * PowerOfTwo(exponent - half);
}

double PortableLog(double x) {
  if (!(x < kInfinity)) {
    return x;
  }
  const auto bits = std::bit_cast<std::uint64_t>(x);
  auto exponent = static_cast<std::int64_t>(bits >> 52U) - 1023;
  double m = std::bit_cast<double>((bits & 0x000F'FFFF'FFFF'FFFFU) | 0x3FF0'0000'0000'0000U);
  if (m > 0x1.6a09e667f3bcdp+0) {
    m *= 0.5;
    ++exponent;
  }
  // log m = 2 artanh((m - 1) / (m + 1))
  const double f = (m - 1.0) / (m + 1.0);
  const double s = f * f;
  constexpr double kFactors[] = {1.0 / 23, 1.0 / 21, 1.0 / 19, 1.0 / 17, 1.0 / 15, 1.0 / 13,
                                 1.0 / 11, 1.0 / 9,  1.0 / 7,  1.0 / 5,  1.0 / 3};
  const double rest = 2.0 * f * s * Polynomial(kFactors, s);
  const auto whole = static_cast<double>(exponent);
  return whole * kLn2High + (2.0 * f + (rest + whole * kLn2Low));
}

float PortablePow(float x, float y) {
  return static_cast<float>(
      PortableExp(static_cast<double>(y) * PortableLog(static_cast<double>(x))));
}

double PortableSin(double x) {
  return SinAfter(Reduce(x), 0);
}

double PortableCos(double x) {
  return SinAfter(Reduce(x), 1);
}

/// W. J. Cody, Rational Chebyshev approximations for the error function, 1969.
double PortableErf(double x) {
  const double size = x < 0 ? -x : x;
  if (size <= 0.46875) {
    constexpr double kAbove[] = {1.85777706184603153e-1, 3.16112374387056560e0,
                                 1.13864154151050156e2, 3.77485237685302021e2,
                                 3.20937758913846947e3};
    constexpr double kBelow[] = {1.0, 2.36012909523441209e1, 2.44024637934444173e2,
                                 1.28261652607737228e3, 2.84423683343917062e3};
    const double s = x * x;
    return x * Polynomial(kAbove, s) / Polynomial(kBelow, s);
  }
  if (size > 6.0) {
    return x < 0 ? -1.0 : 1.0;
  }
  constexpr double kAbove[] = {
      2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0,
      6.61191906371416295e1,  2.98635138197400131e2,  8.81952221241769090e2,
      1.71204761263407058e3,  2.05107837782607147e3,  1.23033935479799725e3};
  constexpr double kBelow[] = {1.0,
                               1.57449261107098347e1,
                               1.17693950891312499e2,
                               5.37181101862009858e2,
                               1.62138957456669019e3,
                               3.29079923573345963e3,
                               4.36261909014324716e3,
                               3.43936767414372164e3,
                               1.23033935480374942e3};
  const double value =
      1.0 - PortableExp(-size * size) * Polynomial(kAbove, size) / Polynomial(kBelow, size);
  return x < 0 ? -value : value;
}

}  // namespace tyllm
