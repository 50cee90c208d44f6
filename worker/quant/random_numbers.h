// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace tyllm::quant {

/// Random numbers that depend on a name and a position and on nothing else: parts of a tensor can
/// be made in any order, and twice. SplitMix64 (Steele, Lea and Flood, 2014) of a counter.
class RandomWords {
 public:
  explicit RandomWords(std::string_view name);

  std::uint64_t At(std::uint64_t index) const;

 private:
  std::uint64_t seed_;
};

/// binary16 numbers of one distribution: 65,536 equally likely ones, from which 16 random bits
/// choose.
class HalfDistribution {
 public:
  /// Normal, cut off at about 4.2 deviations, and rounded to bfloat16 before: what checkpoints of
  /// float16 hold that were made of models in bfloat16, as published ones are.
  static HalfDistribution Normal(double mean, double deviation);
  static HalfDistribution Uniform(double low, double high);

  /// Fills elements `first`.. of a tensor; `first` is a multiple of 4.
  void Fill(const RandomWords& random, std::uint64_t first, std::span<std::uint16_t> out) const;

 private:
  std::vector<std::uint16_t> numbers_;
};

}  // namespace tyllm::quant
