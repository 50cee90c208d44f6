// SPDX-License-Identifier: Apache-2.0
#include "worker/die/packing_loops.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <bit>
#include <cstring>

#include "worker/die/brain_rows.h"

// The instructions are asked for function by function: what this unit shares with others is built
// for every processor.
#define TYLLM_AVX2 [[gnu::target("avx2,f16c")]]

namespace tyllm::die {

namespace {

TYLLM_AVX2 __m256i LoadBytes(const void* from) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}

TYLLM_AVX2 void StoreBytes(void* to, __m256i bytes) {
  _mm256_storeu_si256(static_cast<__m256i*>(to), bytes);
}

/// The lower lane to one place and the upper one to another.
TYLLM_AVX2 void StoreLanes(std::byte* lower, std::byte* upper, __m256i bytes) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(lower), _mm256_castsi256_si128(bytes));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(upper), _mm256_extracti128_si256(bytes, 1));
}

TYLLM_AVX2 bool ToBrains(const std::uint16_t* halves, std::int64_t count, std::uint16_t* brains) {
  __m256i below = _mm256_setzero_si256();
  __m128i largest = _mm_setzero_si128();
  const __m128i magnitude = _mm_set1_epi16(0x7FFF);
  for (std::int64_t i = 0; i < count; i += kLanes) {
    const __m128i eight = _mm_loadu_si128(reinterpret_cast<const __m128i*>(halves + i));
    const __m256i bits = _mm256_castps_si256(_mm256_cvtph_ps(eight));
    const __m256i high = _mm256_srli_epi32(bits, 16);
    const __m128i brain =
        _mm_packus_epi32(_mm256_castsi256_si128(high), _mm256_extracti128_si256(high, 1));
    below = _mm256_or_si256(below, bits);
    largest = _mm_max_epu16(largest, _mm_and_si128(brain, magnitude));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(brains + i), brain);
  }
  std::uint16_t most[kLanes];
  std::memcpy(most, &largest, sizeof(most));
  bool numbers = true;
  for (const std::uint16_t brain : most) {
    numbers = numbers && brain <= 0x7F80U;
  }
  return numbers && _mm256_testz_si256(below, _mm256_set1_epi32(0xFFFF)) != 0;
}

/// The entries of high halves that have the same high nibble.
struct EntriesOfNibble {
  std::uint8_t nibble[32];   ///< that one, in every byte
  std::uint8_t entries[32];  ///< by low nibble, twice: the entry and kFound; 0 where there is none
};

constexpr std::uint8_t kFound = 0x80;

/// Entries by nibbles. Of 256 high halves at most 16 have an entry, and mostly two high nibbles.
struct NibbleLookup {
  explicit NibbleLookup(const BrainEntries& all) {
    for (unsigned high = 0; high < 16; ++high) {
      EntriesOfNibble& row = rows[count];
      std::memset(row.nibble, static_cast<int>(high), sizeof(row.nibble));
      unsigned found = 0;
      for (unsigned low = 0; low < 16; ++low) {
        const std::uint8_t entry = all[high * 16 + low];
        const bool is_there = entry != kNoEntry;
        row.entries[low] = row.entries[low + 16] = is_there ? entry | kFound : 0;
        found += is_there ? 1 : 0;
      }
      count += found > 0 ? 1 : 0;
    }
  }

  EntriesOfNibble rows[17];
  int count = 0;
};

/// What is in the table of each high half: the entry and kFound, or 0.
TYLLM_AVX2 __m256i LookUp(const NibbleLookup& lookup, __m256i highs) {
  const __m256i mask = _mm256_set1_epi8(0x0F);
  const __m256i low = _mm256_and_si256(highs, mask);
  const __m256i high = _mm256_and_si256(_mm256_srli_epi16(highs, 4), mask);
  __m256i found = _mm256_setzero_si256();
  for (int i = 0; i < lookup.count; ++i) {
    const __m256i here = _mm256_cmpeq_epi8(high, LoadBytes(lookup.rows[i].nibble));
    const __m256i entry = _mm256_shuffle_epi8(LoadBytes(lookup.rows[i].entries), low);
    found = _mm256_or_si256(found, _mm256_and_si256(here, entry));
  }
  return found;
}

/// Numbers without entry among those of four rows, of two steps' columns that stand together.
std::uint32_t* ListExceptions(const BrainTile& tile, int first_row, std::int64_t column,
                              std::uint32_t missing, std::uint32_t* exceptions) {
  for (; missing != 0; missing &= missing - 1) {
    const int at = std::countr_zero(missing);
    const int row = first_row + at % 8 / 2;
    const std::int64_t c = column + at / 16 * kStepColumns + at % 16 / 8 * 2 + at % 2;
    const std::uint32_t brain = tile.brains[row * tile.pitch + c];
    *exceptions++ =
        brain >> 8U << 24U | static_cast<std::uint32_t>((tile.first_column + c) * kRowBlock + row);
  }
  return exceptions;
}

/// Of eight pairs of columns of four rows, two steps side by side: the bytes of four columns.
TYLLM_AVX2 __m256i LowBytes(__m256i first, __m256i second) {
  const __m256i mask = _mm256_set1_epi16(0xFF);
  return _mm256_packus_epi16(_mm256_and_si256(first, mask), _mm256_and_si256(second, mask));
}

TYLLM_AVX2 __m256i HighBytes(__m256i first, __m256i second) {
  return _mm256_packus_epi16(_mm256_srli_epi16(first, 8), _mm256_srli_epi16(second, 8));
}

/// Four rows of sixteen columns: two steps, one in either lane.
TYLLM_AVX2 std::uint32_t* TwoSteps(const BrainTile& tile, const NibbleLookup& lookup, int row,
                                   std::int64_t c, std::byte* out, std::uint32_t* exceptions) {
  const std::uint16_t* const from = tile.brains + row * tile.pitch + c;
  const __m256i row0 = LoadBytes(from);
  const __m256i row1 = LoadBytes(from + tile.pitch);
  const __m256i row2 = LoadBytes(from + 2 * tile.pitch);
  const __m256i row3 = LoadBytes(from + 3 * tile.pitch);
  __m256i entries[2];
  for (int half = 0; half < 2; ++half) {
    const __m256i upper =
        half == 0 ? _mm256_unpacklo_epi32(row0, row1) : _mm256_unpackhi_epi32(row0, row1);
    const __m256i lower =
        half == 0 ? _mm256_unpacklo_epi32(row2, row3) : _mm256_unpackhi_epi32(row2, row3);
    const __m256i first = _mm256_unpacklo_epi64(upper, lower);
    const __m256i second = _mm256_unpackhi_epi64(upper, lower);
    std::byte* const low = out + 64 * (1 + half) + 4 * row;
    StoreLanes(low, low + kStepBytes, LowBytes(first, second));
    entries[half] = LookUp(lookup, HighBytes(first, second));
    const auto missing = ~static_cast<std::uint32_t>(_mm256_movemask_epi8(entries[half]));
    if (missing != 0) {
      exceptions = ListExceptions(tile, row, c + static_cast<std::int64_t>(half) * kBrainColumns,
                                  missing, exceptions);
    }
    entries[half] = _mm256_and_si256(entries[half], _mm256_set1_epi8(0x0F));
  }
  const __m256i nibbles = _mm256_or_si256(entries[0], _mm256_slli_epi16(entries[1], 4));
  StoreLanes(out + 4 * row, out + 4 * row + kStepBytes, nibbles);
  return exceptions;
}

TYLLM_AVX2 std::uint32_t* BrainSteps(const BrainTile& tile, const BrainEntries& entries,
                                     std::byte* out, std::uint32_t* exceptions) {
  constexpr std::int64_t kTwo = 2 * kStepColumns;
  const NibbleLookup lookup(entries);
  const std::int64_t whole = tile.columns / kTwo * kTwo;
  for (std::int64_t c = 0; c < whole; c += kTwo, out += 2 * kStepBytes) {
    for (int row = 0; row < kRowBlock; row += 4) {
      exceptions = TwoSteps(tile, lookup, row, c, out, exceptions);
    }
  }
  const BrainTile rest{tile.brains + whole, tile.pitch, tile.columns - whole,
                       tile.first_column + whole};
  return BaselinePackingLoops().brain_steps(rest, entries, out, exceptions);
}

/// 32 columns of two rows -> their words of four steps: {row 0: steps 0, 1; row 1: steps 0, 1}, and
/// steps 2 and 3 in the upper lane.
TYLLM_AVX2 __m256i WordsOfTwoRows(const std::uint8_t* first, const std::uint8_t* second) {
  // Even columns, then odd ones; then pairs of nibbles become bytes.
  const __m256i order = _mm256_broadcastsi128_si256(
      _mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15));
  const __m256i weights = _mm256_set1_epi16(0x1001);
  const __m256i upper = _mm256_maddubs_epi16(_mm256_shuffle_epi8(LoadBytes(first), order), weights);
  const __m256i lower =
      _mm256_maddubs_epi16(_mm256_shuffle_epi8(LoadBytes(second), order), weights);
  return _mm256_packus_epi16(upper, lower);
}

TYLLM_AVX2 __m256i EvenWords(__m256i first, __m256i second) {
  return _mm256_castps_si256(
      _mm256_shuffle_ps(_mm256_castsi256_ps(first), _mm256_castsi256_ps(second), 0x88));
}

TYLLM_AVX2 __m256i OddWords(__m256i first, __m256i second) {
  return _mm256_castps_si256(
      _mm256_shuffle_ps(_mm256_castsi256_ps(first), _mm256_castsi256_ps(second), 0xDD));
}

TYLLM_AVX2 void NibbleSteps(const std::uint8_t* codes, std::int64_t pitch, std::int64_t columns,
                            std::byte* out) {
  for (std::int64_t c = 0; c < columns; c += 32) {
    for (int row = 0; row < kRowBlock; row += 8) {
      const std::uint8_t* const from = codes + row * pitch + c;
      const __m256i rows01 = WordsOfTwoRows(from, from + pitch);
      const __m256i rows23 = WordsOfTwoRows(from + 2 * pitch, from + 3 * pitch);
      const __m256i rows45 = WordsOfTwoRows(from + 4 * pitch, from + 5 * pitch);
      const __m256i rows67 = WordsOfTwoRows(from + 6 * pitch, from + 7 * pitch);
      const __m256i even03 = EvenWords(rows01, rows23);  // step 0, and step 2 in the upper lane
      const __m256i even47 = EvenWords(rows45, rows67);
      const __m256i odd03 = OddWords(rows01, rows23);  // steps 1 and 3
      const __m256i odd47 = OddWords(rows45, rows67);
      std::byte* const to = out + c * 8 + row * 4;
      StoreBytes(to, _mm256_permute2x128_si256(even03, even47, 0x20));
      StoreBytes(to + 64, _mm256_permute2x128_si256(odd03, odd47, 0x20));
      StoreBytes(to + 128, _mm256_permute2x128_si256(even03, even47, 0x31));
      StoreBytes(to + 192, _mm256_permute2x128_si256(odd03, odd47, 0x31));
    }
  }
}

}  // namespace

const PackingLoops& Avx2PackingLoops() {
  static constexpr PackingLoops kLoops = {ToBrains, BrainSteps, NibbleSteps};
  return kLoops;
}

}  // namespace tyllm::die

#endif
