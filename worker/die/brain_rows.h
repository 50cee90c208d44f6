// SPDX-License-Identifier: Apache-2.0
#pragma once

// Numbers of sixteen rows that have the eight significant bits of bfloat16, rebuilt from a byte and
// a nibble each. The byte is the low half of the bfloat16; the nibble numbers its high half (sign
// and seven bits of the exponent) in a table of sixteen. Eight columns are a step of 192 bytes: 64
// of nibbles, low ones of the first four columns and high ones of the others, then 64 bytes of the
// first four columns and 64 of the others.

#include "worker/die/tile.h"

namespace tyllm::die {

inline constexpr int kStepColumns = 8;
inline constexpr std::uint64_t kStepBytes = 192;
/// Columns that stand together in a step.
inline constexpr int kBrainColumns = 4;

/// Where row `row` of column `column` (0..3) stands among the 64 bytes of four columns: as two
/// unpacking instructions want it, pair by pair of columns.
inline constexpr int BrainPlace(int row, int column) {
  return row / 4 * 16 + column / 2 * 8 + row % 4 * 2 + column % 2;
}

/// The bfloat16 of these halves as float32.
inline float JoinBrain(std::uint32_t high, std::uint32_t low) {
  return std::bit_cast<float>(high << 24U | low << 16U);
}

#if TYLLM_DIE_AVX512

/// The sixteen bytes at `from` as a table.
inline RowPairs LoadBrainTable(const std::byte* from) {
  return {_mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)))};
}

namespace internal {

/// Four columns; every byte of `nibbles` is 0..15.
inline void UnpackBrains(const RowPairs& table, const std::byte* low, const RowPairs& nibbles,
                         RowFloats* out) {
  const __m512i bytes = LoadRowPairs(low).v;
  const __m512i high = _mm512_shuffle_epi8(table.v, nibbles.v);
  const __m512i first = _mm512_unpacklo_epi8(bytes, high);
  const __m512i second = _mm512_unpackhi_epi8(bytes, high);
  const __m512i odd = _mm512_set1_epi32(static_cast<std::int32_t>(0xFFFF0000U));
  out[0].v = _mm512_castsi512_ps(_mm512_slli_epi32(first, 16));
  out[1].v = _mm512_castsi512_ps(_mm512_and_si512(first, odd));
  out[2].v = _mm512_castsi512_ps(_mm512_slli_epi32(second, 16));
  out[3].v = _mm512_castsi512_ps(_mm512_and_si512(second, odd));
}

}  // namespace internal

/// The eight columns of a step.
inline void UnpackStep(const RowPairs& table, const std::byte* step, RowFloats* out) {
  const RowPairs low = FillRowPairs(0x0F0F);
  const RowPairs nibbles = LoadRowPairs(step);
  internal::UnpackBrains(table, step + 64, And(nibbles, low), out);
  internal::UnpackBrains(table, step + 128, And(ShiftRight<4>(nibbles), low), out + kBrainColumns);
}

/// Adds the products of `columns` columns from `step` on with `Tokens` tokens, x[t * pitch + c]:
/// column c to sums[t][c % 4], in order.
template <int Tokens>
void AddSteps(const RowPairs& table, const std::byte* step, int columns, const float* x,
              std::size_t pitch, RowFloats (*sums)[kBrainColumns]) {
  RowFloats own[Tokens][kBrainColumns];
  for (int t = 0; t < Tokens; ++t) {
    for (int i = 0; i < kBrainColumns; ++i) {
      own[t][i] = sums[t][i];
    }
  }
  for (int c = 0; c < columns; c += kStepColumns, step += kStepBytes) {
    RowFloats weights[kStepColumns];
    UnpackStep(table, step, weights);
    for (int i = 0; i < kStepColumns; ++i) {
      for (int t = 0; t < Tokens; ++t) {
        RowFloats& sum = own[t][i % kBrainColumns];
        sum = MultiplyAdd(weights[i], FillRows(x[t * pitch + c + i]), sum);
      }
    }
  }
  for (int t = 0; t < Tokens; ++t) {
    for (int i = 0; i < kBrainColumns; ++i) {
      sums[t][i] = own[t][i];
    }
  }
}

#else

namespace internal {

#if TYLLM_DIE_AVX2

inline Pairs TableOfEightRows(const std::byte* from) {
  return {_mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)))};
}

/// Four columns of eight rows; every byte of `nibbles` is 0..15.
inline void UnpackBrains(const Pairs& table, const std::byte* low, const Pairs& nibbles,
                         Floats* out) {
  const __m256i bytes = LoadPairs(low).v;
  const __m256i high = _mm256_shuffle_epi8(table.v, nibbles.v);
  const __m256i first = _mm256_unpacklo_epi8(bytes, high);
  const __m256i second = _mm256_unpackhi_epi8(bytes, high);
  const __m256i odd = _mm256_set1_epi32(static_cast<std::int32_t>(0xFFFF0000U));
  out[0].v = _mm256_castsi256_ps(_mm256_slli_epi32(first, 16));
  out[1].v = _mm256_castsi256_ps(_mm256_and_si256(first, odd));
  out[2].v = _mm256_castsi256_ps(_mm256_slli_epi32(second, 16));
  out[3].v = _mm256_castsi256_ps(_mm256_and_si256(second, odd));
}

#else

inline Pairs TableOfEightRows(const std::byte* from) {
  Pairs table{};
  std::memcpy(table.v, from, kRowBlock);
  return table;
}

/// Four columns of eight rows; every byte of `nibbles` is 0..15.
inline void UnpackBrains(const Pairs& table, const std::byte* low, const Pairs& nibbles,
                         Floats* out) {
  std::uint8_t high[kRowBlock];
  std::uint8_t number[sizeof(nibbles.v)];
  std::memcpy(high, table.v, sizeof(high));
  std::memcpy(number, nibbles.v, sizeof(number));
  for (int c = 0; c < kBrainColumns; ++c) {
    out[c] = EachLane<Floats>([&](int row) {
      const int at = BrainPlace(row, c);
      return JoinBrain(high[number[at]], static_cast<std::uint32_t>(low[at]));
    });
  }
}

#endif

/// The eight columns of the eight rows whose nibbles are at `step`.
inline void UnpackEightRows(const Pairs& table, const std::byte* step, Floats* out) {
  const Pairs low = FillPairs(0x0F0F);
  const Pairs nibbles = LoadPairs(step);
  UnpackBrains(table, step + 64, And(nibbles, low), out);
  UnpackBrains(table, step + 128, And(ShiftRight<4>(nibbles), low), out + kBrainColumns);
}

inline void AddEightRows(const Pairs& table, const std::byte* step, int columns, const float* x,
                         Floats* sums) {
  Floats own[kBrainColumns] = {sums[0], sums[1], sums[2], sums[3]};
  for (int c = 0; c < columns; c += kStepColumns, step += kStepBytes) {
    Prefetch(step);
    Prefetch(step + 64);
    Prefetch(step + 128);
    Floats weights[kStepColumns];
    UnpackEightRows(table, step, weights);
    for (int i = 0; i < kStepColumns; ++i) {
      Floats& sum = own[i % kBrainColumns];
      sum = MultiplyAdd(weights[i], Fill(x[c + i]), sum);
    }
  }
  for (int i = 0; i < kBrainColumns; ++i) {
    sums[i] = own[i];
  }
}

}  // namespace internal

/// The sixteen bytes at `from` as a table.
inline RowPairs LoadBrainTable(const std::byte* from) {
  const Pairs all = internal::TableOfEightRows(from);
  return {all, all};
}

/// The eight columns of a step.
inline void UnpackStep(const RowPairs& table, const std::byte* step, RowFloats* out) {
  Floats low[kStepColumns];
  Floats high[kStepColumns];
  internal::UnpackEightRows(table.low, step, low);
  internal::UnpackEightRows(table.high, step + 32, high);
  for (int c = 0; c < kStepColumns; ++c) {
    out[c] = {low[c], high[c]};
  }
}

/// Adds the products of `columns` columns from `step` on with one token, x[c]: column c to
/// sums[0][c % 4], in order. Eight rows, then the others: there are sixteen registers.
template <int Tokens>
void AddSteps(const RowPairs& table, const std::byte* step, int columns, const float* x,
              std::size_t /*pitch*/, RowFloats (*sums)[kBrainColumns]) {
  static_assert(Tokens == 1, "several tokens share what was unpacked to memory");
  Floats low[kBrainColumns];
  Floats high[kBrainColumns];
  for (int i = 0; i < kBrainColumns; ++i) {
    low[i] = sums[0][i].low;
    high[i] = sums[0][i].high;
  }
  internal::AddEightRows(table.low, step, columns, x, low);
  internal::AddEightRows(table.high, step + 32, columns, x, high);
  for (int i = 0; i < kBrainColumns; ++i) {
    sums[0][i] = {low[i], high[i]};
  }
}

#endif

}  // namespace tyllm::die
