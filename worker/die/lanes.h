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

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#define TYLLM_DIE_AVX2 1
#include <immintrin.h>
#else
#define TYLLM_DIE_AVX2 0
#endif

namespace tyllm::die {

inline constexpr int kLanes = 8;

#if TYLLM_DIE_AVX2

struct Floats {
  __m256 v;
};

struct Ints {
  __m256i v;
};

/// Sixteen int16: a pair for each of the eight lanes.
struct Pairs {
  __m256i v;
};

inline Floats Load(const float* from) {
  return {_mm256_loadu_ps(from)};
}

inline void Store(float* to, Floats a) {
  _mm256_storeu_ps(to, a.v);
}

inline Floats Fill(float a) {
  return {_mm256_set1_ps(a)};
}

inline Floats Add(Floats a, Floats b) {
  return {_mm256_add_ps(a.v, b.v)};
}

inline Floats Subtract(Floats a, Floats b) {
  return {_mm256_sub_ps(a.v, b.v)};
}

inline Floats Multiply(Floats a, Floats b) {
  return {_mm256_mul_ps(a.v, b.v)};
}

inline Floats Divide(Floats a, Floats b) {
  return {_mm256_div_ps(a.v, b.v)};
}

inline Floats Maximum(Floats a, Floats b) {
  return {_mm256_max_ps(a.v, b.v)};
}

inline Floats Minimum(Floats a, Floats b) {
  return {_mm256_min_ps(a.v, b.v)};
}

/// a * b + c, rounded once where the target can.
inline Floats MultiplyAdd(Floats a, Floats b, Floats c) {
  return {_mm256_fmadd_ps(a.v, b.v, c.v)};
}

inline Floats Magnitude(Floats a) {
  return {_mm256_andnot_ps(_mm256_set1_ps(-0.0F), a.v)};
}

/// Eight binary16 numbers as float32.
inline Floats LoadHalves(const std::uint16_t* from) {
  return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)))};
}

inline void StoreHalves(std::uint16_t* to, Floats a) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT));
}

inline Ints ZeroInts() {
  return {_mm256_setzero_si256()};
}

inline Ints FillInts(std::int32_t a) {
  return {_mm256_set1_epi32(a)};
}

inline Ints Add(Ints a, Ints b) {
  return {_mm256_add_epi32(a.v, b.v)};
}

inline Ints Subtract(Ints a, Ints b) {
  return {_mm256_sub_epi32(a.v, b.v)};
}

inline Ints Multiply(Ints a, Ints b) {
  return {_mm256_mullo_epi32(a.v, b.v)};
}

/// Arithmetic shift.
template <int Bits>
Ints ShiftRight(Ints a) {
  return {_mm256_srai_epi32(a.v, Bits)};
}

template <int Bits>
Ints ShiftLeft(Ints a) {
  return {_mm256_slli_epi32(a.v, Bits)};
}

inline Floats ToFloats(Ints a) {
  return {_mm256_cvtepi32_ps(a.v)};
}

/// To the nearest, ties to even.
inline Ints Round(Floats a) {
  return {_mm256_cvtps_epi32(a.v)};
}

inline Floats BitsAsFloats(Ints a) {
  return {_mm256_castsi256_ps(a.v)};
}

/// Nibble r of `packed` in lane r.
inline Ints Nibbles(std::uint32_t packed) {
  const __m256i shifts = _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28);
  const __m256i all = _mm256_set1_epi32(static_cast<std::int32_t>(packed));
  return {_mm256_and_si256(_mm256_srlv_epi32(all, shifts), _mm256_set1_epi32(15))};
}

inline Pairs LoadPairs(const void* from) {
  return {_mm256_loadu_si256(static_cast<const __m256i*>(from))};
}

inline void StorePairs(void* to, Pairs a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), a.v);
}

/// Sixteen int8 as int16.
inline Pairs WidenPairs(const std::byte* from) {
  return {_mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)))};
}

/// The two numbers at `from` in every lane.
inline Pairs FillPair(const std::int16_t* from) {
  std::int32_t both;
  std::memcpy(&both, from, sizeof(both));
  return {_mm256_set1_epi32(both)};
}

/// The four bytes at `from` in every lane.
inline Pairs FillQuad(const std::int8_t* from) {
  std::int32_t four;
  std::memcpy(&four, from, sizeof(four));
  return {_mm256_set1_epi32(four)};
}

/// Of every lane's four bytes, not signed in `a` and signed in `b`, the sums of two products and
/// two; they fit into int16.
inline Pairs MultiplyBytes(Pairs a, Pairs b) {
  return {_mm256_maddubs_epi16(a.v, b.v)};
}

inline Pairs Add(Pairs a, Pairs b) {
  return {_mm256_add_epi16(a.v, b.v)};
}

inline Pairs FillPairs(std::int16_t a) {
  return {_mm256_set1_epi16(a)};
}

/// Each lane's (small, not negative) number in both halves of its pair.
inline Pairs Twice(Ints a) {
  return {_mm256_or_si256(a.v, _mm256_slli_epi32(a.v, 16))};
}

inline Pairs And(Pairs a, Pairs b) {
  return {_mm256_and_si256(a.v, b.v)};
}

/// Logical shift of each int16.
template <int Bits>
Pairs ShiftRight(Pairs a) {
  return {_mm256_srli_epi16(a.v, Bits)};
}

inline Pairs Subtract(Pairs a, Pairs b) {
  return {_mm256_sub_epi16(a.v, b.v)};
}

/// Sum of the two products of each lane.
inline Ints MultiplyPairs(Pairs a, Pairs b) {
  return {_mm256_madd_epi16(a.v, b.v)};
}

/// Sixteen numbers that fit, in order: a's lanes, then b's.
inline Pairs Narrow(Ints a, Ints b) {
  return {_mm256_permute4x64_epi64(_mm256_packs_epi32(a.v, b.v), 0xD8)};
}

#else

struct Floats {
  float v[kLanes];
};

struct Ints {
  std::int32_t v[kLanes];
};

/// Sixteen int16: a pair for each of the eight lanes.
struct Pairs {
  std::int16_t v[2 * kLanes];
};

namespace internal {

template <typename Out, typename Function>
Out EachLane(Function function) {
  Out out;
  constexpr int kCount = sizeof(out.v) / sizeof(out.v[0]);
  for (int i = 0; i < kCount; ++i) {
    out.v[i] = function(i);
  }
  return out;
}

}  // namespace internal

inline float HalfToFloat(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000U) << 16;
  const std::uint32_t magnitude = half & 0x7FFFU;
  if (magnitude < 0x400U) {
    const float value = static_cast<float>(magnitude) * 0x1p-24F;
    return sign != 0 ? -value : value;
  }
  const std::uint32_t exponent = magnitude >= 0x7C00U ? 0x70000000U : 0x38000000U;
  return std::bit_cast<float>(sign | ((magnitude << 13) + exponent));
}

/// To the nearest, ties to even.
inline std::uint16_t FloatToHalf(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000U;
  const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
  if (magnitude > 0x7F800000U) {
    return static_cast<std::uint16_t>(sign | 0x7E00U);
  }
  if (magnitude >= 0x477FF000U) {
    return static_cast<std::uint16_t>(sign | 0x7C00U);
  }
  if (magnitude < 0x38800000U) {  // subnormal: let a float addition round
    const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3F000000U));
  }
  const std::uint32_t odd = (magnitude >> 13) & 1U;
  return static_cast<std::uint16_t>(sign | ((magnitude - 0x38000000U + 0xFFFU + odd) >> 13));
}

inline Floats Load(const float* from) {
  return internal::EachLane<Floats>([&](int i) { return from[i]; });
}

inline void Store(float* to, const Floats& a) {
  for (int i = 0; i < kLanes; ++i) {
    to[i] = a.v[i];
  }
}

inline Floats Fill(float a) {
  return internal::EachLane<Floats>([&](int) { return a; });
}

inline Floats Add(const Floats& a, const Floats& b) {
  return internal::EachLane<Floats>([&](int i) { return a.v[i] + b.v[i]; });
}

inline Floats Subtract(const Floats& a, const Floats& b) {
  return internal::EachLane<Floats>([&](int i) { return a.v[i] - b.v[i]; });
}

inline Floats Multiply(const Floats& a, const Floats& b) {
  return internal::EachLane<Floats>([&](int i) { return a.v[i] * b.v[i]; });
}

inline Floats Divide(const Floats& a, const Floats& b) {
  return internal::EachLane<Floats>([&](int i) { return a.v[i] / b.v[i]; });
}

inline Floats Maximum(const Floats& a, const Floats& b) {
  return internal::EachLane<Floats>([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}

inline Floats Minimum(const Floats& a, const Floats& b) {
  return internal::EachLane<Floats>([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
}

/// a * b + c, rounded once where the target can.
inline Floats MultiplyAdd(const Floats& a, const Floats& b, const Floats& c) {
  return internal::EachLane<Floats>([&](int i) { return a.v[i] * b.v[i] + c.v[i]; });
}

inline Floats Magnitude(const Floats& a) {
  return internal::EachLane<Floats>([&](int i) { return std::fabs(a.v[i]); });
}

/// Eight binary16 numbers as float32.
inline Floats LoadHalves(const std::uint16_t* from) {
  return internal::EachLane<Floats>([&](int i) { return HalfToFloat(from[i]); });
}

inline void StoreHalves(std::uint16_t* to, const Floats& a) {
  for (int i = 0; i < kLanes; ++i) {
    to[i] = FloatToHalf(a.v[i]);
  }
}

inline Ints ZeroInts() {
  return Ints{};
}

inline Ints FillInts(std::int32_t a) {
  return internal::EachLane<Ints>([&](int) { return a; });
}

inline Ints Add(const Ints& a, const Ints& b) {
  return internal::EachLane<Ints>([&](int i) { return a.v[i] + b.v[i]; });
}

inline Ints Subtract(const Ints& a, const Ints& b) {
  return internal::EachLane<Ints>([&](int i) { return a.v[i] - b.v[i]; });
}

inline Ints Multiply(const Ints& a, const Ints& b) {
  return internal::EachLane<Ints>([&](int i) { return a.v[i] * b.v[i]; });
}

/// Arithmetic shift.
template <int Bits>
Ints ShiftRight(const Ints& a) {
  return internal::EachLane<Ints>([&](int i) { return a.v[i] >> Bits; });
}

template <int Bits>
Ints ShiftLeft(const Ints& a) {
  return internal::EachLane<Ints>(
      [&](int i) { return static_cast<std::int32_t>(static_cast<std::uint32_t>(a.v[i]) << Bits); });
}

inline Floats ToFloats(const Ints& a) {
  return internal::EachLane<Floats>([&](int i) { return static_cast<float>(a.v[i]); });
}

/// To the nearest, ties to even.
inline Ints Round(const Floats& a) {
  return internal::EachLane<Ints>(
      [&](int i) { return static_cast<std::int32_t>(std::lrint(a.v[i])); });
}

inline Floats BitsAsFloats(const Ints& a) {
  return internal::EachLane<Floats>([&](int i) { return std::bit_cast<float>(a.v[i]); });
}

/// Nibble r of `packed` in lane r.
inline Ints Nibbles(std::uint32_t packed) {
  return internal::EachLane<Ints>(
      [&](int i) { return static_cast<std::int32_t>((packed >> (4 * i)) & 15U); });
}

inline Pairs LoadPairs(const void* from) {
  Pairs out;
  std::memcpy(out.v, from, sizeof(out.v));
  return out;
}

inline void StorePairs(void* to, const Pairs& a) {
  std::memcpy(to, a.v, sizeof(a.v));
}

/// Sixteen int8 as int16.
inline Pairs WidenPairs(const std::byte* from) {
  return internal::EachLane<Pairs>(
      [&](int i) { return static_cast<std::int16_t>(static_cast<std::int8_t>(from[i])); });
}

/// The two numbers at `from` in every lane.
inline Pairs FillPair(const std::int16_t* from) {
  return internal::EachLane<Pairs>([&](int i) { return from[i & 1]; });
}

/// The four bytes at `from` in every lane.
inline Pairs FillQuad(const std::int8_t* from) {
  std::int16_t two[2];
  std::memcpy(two, from, sizeof(two));
  return internal::EachLane<Pairs>([&](int i) { return two[i % 2]; });
}

/// Of every lane's four bytes, not signed in `a` and signed in `b`, the sums of two products and
/// two; they fit into int16.
inline Pairs MultiplyBytes(const Pairs& a, const Pairs& b) {
  const auto byte = [](std::int16_t both, int n) {
    return static_cast<std::uint8_t>(static_cast<std::uint16_t>(both) >> (8 * n));
  };
  return internal::EachLane<Pairs>([&](int i) {
    return static_cast<std::int16_t>(byte(a.v[i], 0) * static_cast<std::int8_t>(byte(b.v[i], 0)) +
                                     byte(a.v[i], 1) * static_cast<std::int8_t>(byte(b.v[i], 1)));
  });
}

inline Pairs Add(const Pairs& a, const Pairs& b) {
  return internal::EachLane<Pairs>(
      [&](int i) { return static_cast<std::int16_t>(a.v[i] + b.v[i]); });
}

inline Pairs FillPairs(std::int16_t a) {
  return internal::EachLane<Pairs>([&](int) { return a; });
}

/// Each lane's (small, not negative) number in both halves of its pair.
inline Pairs Twice(const Ints& a) {
  return internal::EachLane<Pairs>([&](int i) { return static_cast<std::int16_t>(a.v[i / 2]); });
}

inline Pairs And(const Pairs& a, const Pairs& b) {
  return internal::EachLane<Pairs>([&](int i) {
    return static_cast<std::int16_t>(static_cast<std::uint16_t>(a.v[i]) &
                                     static_cast<std::uint16_t>(b.v[i]));
  });
}

/// Logical shift of each int16.
template <int Bits>
Pairs ShiftRight(const Pairs& a) {
  return internal::EachLane<Pairs>(
      [&](int i) { return static_cast<std::int16_t>(static_cast<std::uint16_t>(a.v[i]) >> Bits); });
}

inline Pairs Subtract(const Pairs& a, const Pairs& b) {
  return internal::EachLane<Pairs>(
      [&](int i) { return static_cast<std::int16_t>(a.v[i] - b.v[i]); });
}

/// Sum of the two products of each lane.
inline Ints MultiplyPairs(const Pairs& a, const Pairs& b) {
  return internal::EachLane<Ints>(
      [&](int i) { return a.v[2 * i] * b.v[2 * i] + a.v[2 * i + 1] * b.v[2 * i + 1]; });
}

/// Sixteen numbers that fit, in order: a's lanes, then b's.
inline Pairs Narrow(const Ints& a, const Ints& b) {
  return internal::EachLane<Pairs>(
      [&](int i) { return static_cast<std::int16_t>(i < kLanes ? a.v[i] : b.v[i - kLanes]); });
}

#endif

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

inline constexpr std::uint64_t RoundUp(std::uint64_t number, std::uint64_t multiple) {
  return (number + multiple - 1) / multiple * multiple;
}

}  // namespace tyllm::die
