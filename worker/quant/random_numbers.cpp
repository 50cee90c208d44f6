// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/random_numbers.h"

#include <cmath>

#include "common/base/portable_math.h"
#include "common/format/float16.h"

namespace tyllm::quant {

namespace {

constexpr std::size_t kNumbers = 65536;

/// The normal distribution's quantile at (i + 1/2) / kNumbers for the upper half, by integrating
/// dx / dp = sqrt(2 pi) e^(x^2 / 2) from the middle in steps that are halved twice.
std::vector<double> UpperNormalQuantiles() {
  constexpr int kSteps = 4;
  const double step = 1.0 / static_cast<double>(kNumbers) / kSteps;
  const auto slope = [](double x) { return std::sqrt(2.0 * M_PI) * PortableExp(0.5 * x * x); };
  std::vector<double> quantiles;
  double x = 0.5 / static_cast<double>(kNumbers) * slope(0.0);
  for (std::size_t i = 0; i < kNumbers / 2; ++i) {
    quantiles.push_back(x);
    for (int k = 0; k < kSteps; ++k) {  // the midpoint rule
      x += step * slope(x + 0.5 * step * slope(x));
    }
  }
  return quantiles;
}

}  // namespace

RandomWords::RandomWords(std::string_view name) : seed_(0xcbf29ce484222325U) {
  for (const char letter : name) {  // FNV-1a
    seed_ = (seed_ ^ static_cast<unsigned char>(letter)) * 0x100000001b3U;
  }
}

std::uint64_t RandomWords::At(std::uint64_t index) const {
  std::uint64_t x = seed_ + (index + 1) * 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31U);
}

HalfDistribution HalfDistribution::Normal(double mean, double deviation) {
  HalfDistribution distribution;
  for (const double quantile : UpperNormalQuantiles()) {
    for (const double sign : {-1.0, 1.0}) {
      const auto number = static_cast<float>(mean + sign * deviation * quantile);
      distribution.numbers_.push_back(
          format::FloatToHalf(format::BFloat16ToFloat(format::FloatToBFloat16(number))));
    }
  }
  return distribution;
}

HalfDistribution HalfDistribution::Uniform(double low, double high) {
  HalfDistribution distribution;
  for (std::size_t i = 0; i < kNumbers; ++i) {
    const double part = (static_cast<double>(i) + 0.5) / static_cast<double>(kNumbers);
    distribution.numbers_.push_back(
        format::FloatToHalf(static_cast<float>(low + (high - low) * part)));
  }
  return distribution;
}

void HalfDistribution::Fill(const RandomWords& random, std::uint64_t first,
                            std::span<std::uint16_t> out) const {
  for (std::size_t i = 0; i < out.size(); i += 4) {
    const std::uint64_t word = random.At((first + i) / 4);
    for (std::size_t k = 0; k < 4 && i + k < out.size(); ++k) {
      out[i + k] = numbers_[(word >> (16U * k)) & 0xFFFFU];
    }
  }
}

}  // namespace tyllm::quant
