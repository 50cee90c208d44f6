// SPDX-License-Identifier: Apache-2.0
// The terms of a CodeSum, for the host and for GPUs: C++17, and nothing included that nvcc could
// not compile.
#pragma once

#include <cstdint>

namespace tyllm::quant {

/// A permutation of all 64-bit numbers that leaves no trace of order among neighbours: the last
/// step of splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
constexpr std::uint64_t Mixed(std::uint64_t x) {
  x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9U;
  x = (x ^ (x >> 27U)) * 0x94D049BB133111EBU;
  return x ^ (x >> 31U);
}

/// What eight bytes of an array of a linear layer add to the two halves of its CodeSum.
struct CodeTerm {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
};

/// `array`: 0 codes, 1 zero points, 2 scales. `index`: of these eight bytes in it.
constexpr CodeTerm TermOf(std::uint64_t word, std::uint64_t array, std::uint64_t index) {
  const std::uint64_t key = Mixed(((array << 56U) + index + 1U) * 0x9E3779B97F4A7C15U);
  const std::uint64_t low = Mixed(word ^ key);
  return {low, Mixed(low + key)};
}

}  // namespace tyllm::quant
