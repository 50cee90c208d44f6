// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace tyllm::die {

/// By high half of a bfloat16: its number in the table of a row block, kNoEntry where it is not in
/// there.
using BrainEntries = std::array<std::uint8_t, 256>;
inline constexpr std::uint8_t kNoEntry = 16;

/// Some columns of a row block, as bfloat16.
struct BrainTile {
  const std::uint16_t* brains = nullptr;  ///< [16, pitch], `columns` of each row
  std::int64_t pitch = 0;
  std::int64_t columns = 0;       ///< a multiple of 8
  std::int64_t first_column = 0;  ///< of the row block
};

/// The inner loops of packing, in one version for each instruction set. All give the same bytes.
struct PackingLoops {
  /// brains[i] = the upper half of halves[i] (binary16) as float32; `count` is a multiple of 8.
  /// Whether nothing was lost: the lower halves are zero, and none is no number. Otherwise brains
  /// may be anything.
  bool (*to_brains)(const std::uint16_t* halves, std::int64_t count, std::uint16_t* brains);
  /// Writes the steps of a tile (192 bytes for eight columns), and to `exceptions` the numbers that
  /// have no entry, in any order. Returns where these end.
  std::uint32_t* (*brain_steps)(const BrainTile& tile, const BrainEntries& entries, std::byte* out,
                                std::uint32_t* exceptions);
  /// Codes of 16 rows, `pitch` apart, `columns` (a multiple of 32) of each -> 4-bit steps of eight
  /// columns, 64 bytes each.
  void (*nibble_steps)(const std::uint8_t* codes, std::int64_t pitch, std::int64_t columns,
                       std::byte* out);
};

const PackingLoops& BaselinePackingLoops();
#if defined(__x86_64__)
const PackingLoops& Avx2PackingLoops();
#endif

/// Those that this processor runs, the fastest last.
std::span<const PackingLoops* const> PackingLoopsHere();

/// PackF16In12Block of packing.h with these loops.
void PackF16In12Block(const PackingLoops& loops, std::span<const std::uint16_t> halves,
                      std::int64_t rows, std::int64_t columns, std::int64_t exceptions,
                      std::span<std::byte> out);

/// The 4-bit steps of one row: its four bytes of each.
void PackNibblesOfRow(const std::uint8_t* codes, std::int64_t columns, std::int64_t row,
                      std::byte* out);

}  // namespace tyllm::die
