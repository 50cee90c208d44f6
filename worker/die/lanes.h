// SPDX-License-Identifier: Apache-2.0
#pragma once

// Eight float32 or int32 numbers, or sixteen int16, as one value: AVX2 where the target has it,
// plain loops elsewhere. Kernels are written once, on these. What is rounded when is the same in
// every kernel that uses them, so build generated code with -ffp-contract=off.

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace tyllm::die {

inline constexpr int kLanes = 8;

}  // namespace tyllm::die

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#define TYLLM_DIE_AVX2 1
#include "worker/die/lanes_avx2.h"
#else
#define TYLLM_DIE_AVX2 0
#include "worker/die/lanes_plain.h"
#endif

namespace tyllm::die {

/// In a fixed order: lanes i and i + 4 first, then i and i + 2, then the last two.
inline float Sum(const Floats& a) {
  float lane[kLanes];
  Store(lane, a);
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

inline float Largest(const Floats& a) {
  float lane[kLanes];
  Store(lane, a);
  float best = lane[0];
  for (int i = 1; i < kLanes; ++i) {
    best = lane[i] > best ? lane[i] : best;
  }
  return best;
}

/// e^a, relative error below 2e-7; 0 below -87.3. Cody and Waite's reduction and the polynomial of
/// Cephes' expf.
inline Floats Exp(const Floats& a) {
  const Floats x = Maximum(Minimum(a, Fill(88.0F)), Fill(-87.3F));
  const Ints n = Round(Multiply(x, Fill(1.44269504F)));
  const Floats whole = ToFloats(n);
  Floats r = MultiplyAdd(whole, Fill(-0.693359375F), x);
  r = MultiplyAdd(whole, Fill(2.12194440e-4F), r);
  Floats p = Fill(1.9875691500e-4F);
  p = MultiplyAdd(p, r, Fill(1.3981999507e-3F));
  p = MultiplyAdd(p, r, Fill(8.3334519073e-3F));
  p = MultiplyAdd(p, r, Fill(4.1665795894e-2F));
  p = MultiplyAdd(p, r, Fill(1.6666665459e-1F));
  p = MultiplyAdd(p, r, Fill(5.0000001201e-1F));
  p = Add(MultiplyAdd(p, Multiply(r, r), r), Fill(1.0F));
  return Multiply(p, BitsAsFloats(ShiftLeft<23>(Add(n, FillInts(127)))));
}

/// Asks for the cache lines of `bytes` from `from` on.
inline void FetchLines(const void* from, std::size_t bytes) {
  for (std::size_t at = 0; at < bytes; at += 64) {
    __builtin_prefetch(static_cast<const std::byte*>(from) + at);
  }
}

inline constexpr std::uint64_t RoundUp(std::uint64_t number, std::uint64_t multiple) {
  return (number + multiple - 1) / multiple * multiple;
}

}  // namespace tyllm::die
