// SPDX-License-Identifier: Apache-2.0
#pragma once

// The lanes of lanes.h on AVX2, FMA and F16C. Included by it.

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace tyllm::die {

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

}  // namespace tyllm::die
