// SPDX-License-Identifier: Apache-2.0
#pragma once

// A number (or a pair of int16) of each of the sixteen rows of a row block, as one value: one
// AVX-512 register, or two of lanes.h. Every lane sees the same operations in the same order on
// every target that has fused multiply-adds, so these give the same bits.

#include "worker/die/lanes.h"

#if TYLLM_DIE_AVX2 && defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
#define TYLLM_DIE_AVX512 1
#else
#define TYLLM_DIE_AVX512 0
#endif

#if TYLLM_DIE_AVX512 && defined(__AVX512VNNI__)
#define TYLLM_DIE_VNNI 1
#else
#define TYLLM_DIE_VNNI 0
#endif

namespace tyllm::die {

/// Weight rows that are interleaved (docs/formats/packed-weights.md).
inline constexpr int kRowBlock = 16;

#if TYLLM_DIE_AVX512

struct RowFloats {
  __m512 v;
};

struct RowInts {
  __m512i v;
};

/// Thirty-two int16: a pair for each row.
struct RowPairs {
  __m512i v;
};

inline RowFloats FillRows(float a) {
  return {_mm512_set1_ps(a)};
}

inline RowFloats LoadRows(const float* from) {
  return {_mm512_loadu_ps(from)};
}

inline void StoreRows(float* to, RowFloats a) {
  _mm512_storeu_ps(to, a.v);
}

inline RowFloats LoadRowHalves(const std::uint16_t* from) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)))};
}

/// Eight binary16 numbers from each of two places.
inline RowFloats LoadRowHalves(const std::uint16_t* low, const std::uint16_t* high) {
  return {_mm512_cvtph_ps(_mm256_loadu2_m128i(reinterpret_cast<const __m128i*>(high),
                                              reinterpret_cast<const __m128i*>(low)))};
}

inline RowFloats Add(RowFloats a, RowFloats b) {
  return {_mm512_add_ps(a.v, b.v)};
}

inline RowFloats Multiply(RowFloats a, RowFloats b) {
  return {_mm512_mul_ps(a.v, b.v)};
}

inline RowFloats MultiplyAdd(RowFloats a, RowFloats b, RowFloats c) {
  return {_mm512_fmadd_ps(a.v, b.v, c.v)};
}

inline RowInts ZeroRowInts() {
  return {_mm512_setzero_si512()};
}

inline RowInts Add(RowInts a, RowInts b) {
  return {_mm512_add_epi32(a.v, b.v)};
}

inline RowInts Subtract(RowInts a, RowInts b) {
  return {_mm512_sub_epi32(a.v, b.v)};
}

inline RowInts Multiply(RowInts a, std::int32_t b) {
  return {_mm512_mullo_epi32(a.v, _mm512_set1_epi32(b))};
}

template <int Bits>
RowInts ShiftRight(RowInts a) {
  return {_mm512_srai_epi32(a.v, Bits)};
}

inline RowFloats ToFloats(RowInts a) {
  return {_mm512_cvtepi32_ps(a.v)};
}

/// Sixteen nibbles, the lowest of the first byte for row 0.
inline RowInts LoadRowNibbles(const std::byte* from) {
  std::uint64_t packed;
  std::memcpy(&packed, from, sizeof(packed));
  const __m512i low = _mm512_set1_epi32(static_cast<std::int32_t>(packed));
  const __m512i both = _mm512_mask_set1_epi32(low, 0xFF00, static_cast<std::int32_t>(packed >> 32));
  const __m512i shifts =
      _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 0, 4, 8, 12, 16, 20, 24, 28);
  return {_mm512_and_si512(_mm512_srlv_epi32(both, shifts), _mm512_set1_epi32(15))};
}

inline RowPairs LoadRowPairs(const void* from) {
  return {_mm512_loadu_si512(from)};
}

inline void StoreRowPairs(void* to, RowPairs a) {
  _mm512_storeu_si512(to, a.v);
}

/// The four bytes at `from` for every row.
inline RowPairs FillRowQuad(const std::int8_t* from) {
  std::int32_t four;
  std::memcpy(&four, from, sizeof(four));
  return {_mm512_set1_epi32(four)};
}

/// Of every row's four bytes, not signed in `a` and signed in `b`, the sums of two products and
/// two; they fit into int16.
inline RowPairs MultiplyBytes(RowPairs a, RowPairs b) {
  return {_mm512_maddubs_epi16(a.v, b.v)};
}

inline RowPairs Add(RowPairs a, RowPairs b) {
  return {_mm512_add_epi16(a.v, b.v)};
}

/// Thirty-two int8 as int16.
inline RowPairs WidenRowPairs(const std::byte* from) {
  return {_mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)))};
}

/// The two numbers at `from` for every row.
inline RowPairs FillRowPair(const std::int16_t* from) {
  std::int32_t both;
  std::memcpy(&both, from, sizeof(both));
  return {_mm512_set1_epi32(both)};
}

inline RowPairs FillRowPairs(std::int16_t a) {
  return {_mm512_set1_epi16(a)};
}

/// Each row's (small, not negative) number in both halves of its pair.
inline RowPairs Twice(RowInts a) {
  return {_mm512_or_si512(a.v, _mm512_slli_epi32(a.v, 16))};
}

inline RowPairs And(RowPairs a, RowPairs b) {
  return {_mm512_and_si512(a.v, b.v)};
}

/// Logical shift of each int16.
template <int Bits>
RowPairs ShiftRight(RowPairs a) {
  return {_mm512_srli_epi16(a.v, Bits)};
}

inline RowPairs Subtract(RowPairs a, RowPairs b) {
  return {_mm512_sub_epi16(a.v, b.v)};
}

/// sum + the two products of each row.
inline RowInts AddProducts(RowPairs a, RowPairs b, RowInts sum) {
#if TYLLM_DIE_VNNI
  return {_mm512_dpwssd_epi32(sum.v, a.v, b.v)};
#else
  return {_mm512_add_epi32(sum.v, _mm512_madd_epi16(a.v, b.v))};
#endif
}

#if TYLLM_DIE_VNNI
/// sum + the four products of each row's bytes, not signed in `a` and signed in `b`.
inline RowInts AddByteProducts(RowPairs a, RowPairs b, RowInts sum) {
  return {_mm512_dpbusd_epi32(sum.v, a.v, b.v)};
}
#endif

#else

struct RowFloats {
  Floats low;
  Floats high;
};

struct RowInts {
  Ints low;
  Ints high;
};

/// Thirty-two int16: a pair for each row.
struct RowPairs {
  Pairs low;
  Pairs high;
};

inline RowFloats FillRows(float a) {
  const Floats all = Fill(a);
  return {all, all};
}

inline RowFloats LoadRows(const float* from) {
  return {Load(from), Load(from + kLanes)};
}

inline void StoreRows(float* to, const RowFloats& a) {
  Store(to, a.low);
  Store(to + kLanes, a.high);
}

inline RowFloats LoadRowHalves(const std::uint16_t* from) {
  return {LoadHalves(from), LoadHalves(from + kLanes)};
}

inline RowFloats Add(const RowFloats& a, const RowFloats& b) {
  return {Add(a.low, b.low), Add(a.high, b.high)};
}

inline RowFloats Multiply(const RowFloats& a, const RowFloats& b) {
  return {Multiply(a.low, b.low), Multiply(a.high, b.high)};
}

inline RowFloats MultiplyAdd(const RowFloats& a, const RowFloats& b, const RowFloats& c) {
  return {MultiplyAdd(a.low, b.low, c.low), MultiplyAdd(a.high, b.high, c.high)};
}

inline RowInts ZeroRowInts() {
  return {ZeroInts(), ZeroInts()};
}

inline RowInts Add(const RowInts& a, const RowInts& b) {
  return {Add(a.low, b.low), Add(a.high, b.high)};
}

inline RowInts Subtract(const RowInts& a, const RowInts& b) {
  return {Subtract(a.low, b.low), Subtract(a.high, b.high)};
}

inline RowInts Multiply(const RowInts& a, std::int32_t b) {
  return {Multiply(a.low, FillInts(b)), Multiply(a.high, FillInts(b))};
}

template <int Bits>
RowInts ShiftRight(const RowInts& a) {
  return {ShiftRight<Bits>(a.low), ShiftRight<Bits>(a.high)};
}

inline RowFloats ToFloats(const RowInts& a) {
  return {ToFloats(a.low), ToFloats(a.high)};
}

/// Sixteen nibbles, the lowest of the first byte for row 0.
inline RowInts LoadRowNibbles(const std::byte* from) {
  std::uint32_t packed[2];
  std::memcpy(packed, from, sizeof(packed));
  return {Nibbles(packed[0]), Nibbles(packed[1])};
}

inline RowPairs LoadRowPairs(const void* from) {
  return {LoadPairs(from), LoadPairs(static_cast<const std::byte*>(from) + sizeof(Pairs))};
}

inline void StoreRowPairs(void* to, const RowPairs& a) {
  StorePairs(to, a.low);
  StorePairs(static_cast<std::byte*>(to) + sizeof(Pairs), a.high);
}

/// The four bytes at `from` for every row.
inline RowPairs FillRowQuad(const std::int8_t* from) {
  const Pairs all = FillQuad(from);
  return {all, all};
}

/// Of every row's four bytes, not signed in `a` and signed in `b`, the sums of two products and
/// two; they fit into int16.
inline RowPairs MultiplyBytes(const RowPairs& a, const RowPairs& b) {
  return {MultiplyBytes(a.low, b.low), MultiplyBytes(a.high, b.high)};
}

inline RowPairs Add(const RowPairs& a, const RowPairs& b) {
  return {Add(a.low, b.low), Add(a.high, b.high)};
}

/// Thirty-two int8 as int16.
inline RowPairs WidenRowPairs(const std::byte* from) {
  return {WidenPairs(from), WidenPairs(from + 2 * kLanes)};
}

/// The two numbers at `from` for every row.
inline RowPairs FillRowPair(const std::int16_t* from) {
  const Pairs all = FillPair(from);
  return {all, all};
}

inline RowPairs FillRowPairs(std::int16_t a) {
  return {FillPairs(a), FillPairs(a)};
}

/// Each row's (small, not negative) number in both halves of its pair.
inline RowPairs Twice(const RowInts& a) {
  return {Twice(a.low), Twice(a.high)};
}

inline RowPairs And(const RowPairs& a, const RowPairs& b) {
  return {And(a.low, b.low), And(a.high, b.high)};
}

/// Logical shift of each int16.
template <int Bits>
RowPairs ShiftRight(const RowPairs& a) {
  return {ShiftRight<Bits>(a.low), ShiftRight<Bits>(a.high)};
}

inline RowPairs Subtract(const RowPairs& a, const RowPairs& b) {
  return {Subtract(a.low, b.low), Subtract(a.high, b.high)};
}

/// sum + the two products of each row.
inline RowInts AddProducts(const RowPairs& a, const RowPairs& b, const RowInts& sum) {
  return {Add(sum.low, MultiplyPairs(a.low, b.low)), Add(sum.high, MultiplyPairs(a.high, b.high))};
}

#endif

/// What a loop adds to: g++ 12 copies some such numbers once a round, or keeps them in memory, when
/// there are many, unless it is told at the end of the round where they are.
inline void KeepInRegisters([[maybe_unused]] RowInts& a) {
#if TYLLM_DIE_AVX512 && !defined(__clang__)
  asm("" : "+v"(a.v));
#elif TYLLM_DIE_AVX2 && !defined(__clang__)
  asm("" : "+x"(a.low.v), "+x"(a.high.v));
#endif
}

inline void KeepInRegisters([[maybe_unused]] RowPairs& a) {
#if TYLLM_DIE_AVX512 && !defined(__clang__)
  asm("" : "+v"(a.v));
#elif TYLLM_DIE_AVX2 && !defined(__clang__)
  asm("" : "+x"(a.low.v), "+x"(a.high.v));
#endif
}

/// Stores the lanes that are rows of a matrix: the last block of one may be short.
inline void StoreRows(float* out, const RowFloats& a, int rows) {
  if (rows >= kRowBlock) {
    StoreRows(out, a);
    return;
  }
  float lane[kRowBlock];
  StoreRows(lane, a);
  for (int i = 0; i < rows; ++i) {
    out[i] = lane[i];
  }
}

}  // namespace tyllm::die
