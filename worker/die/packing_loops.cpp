// SPDX-License-Identifier: Apache-2.0
#include "worker/die/packing_loops.h"

#include <bit>
#include <cstring>
#include <vector>

#include "worker/die/brain_rows.h"

namespace tyllm::die {

namespace {

constexpr std::uint32_t kInfinity = 0x7F800000U;

bool ToBrains(const std::uint16_t* halves, std::int64_t count, std::uint16_t* brains) {
  std::uint32_t below = 0;
  bool numbers = true;
  for (std::int64_t i = 0; i < count; i += kLanes) {
    float values[kLanes];
    Store(values, LoadHalves(halves + i));
    for (int lane = 0; lane < kLanes; ++lane) {
      const auto bits = std::bit_cast<std::uint32_t>(values[lane]);
      below |= bits & 0xFFFFU;
      numbers = numbers && (bits & 0x7FFFFFFFU) <= kInfinity;
      brains[i + lane] = static_cast<std::uint16_t>(bits >> 16U);
    }
  }
  return numbers && below == 0;
}

std::uint32_t* BrainSteps(const BrainTile& tile, const BrainEntries& entries, std::byte* out,
                          std::uint32_t* exceptions) {
  for (std::int64_t c = 0; c < tile.columns; c += kStepColumns, out += kStepBytes) {
    for (int row = 0; row < kRowBlock; ++row) {
      std::uint8_t nibbles[kStepColumns];
      for (int i = 0; i < kStepColumns; ++i) {
        const std::uint32_t brain = tile.brains[row * tile.pitch + c + i];
        const std::uint8_t entry = entries[brain >> 8U];
        if (entry == kNoEntry) {
          *exceptions++ = brain >> 8U << 24U |
                          static_cast<std::uint32_t>((tile.first_column + c + i) * kRowBlock + row);
        }
        nibbles[i] = entry % kNoEntry;
        out[64 * (1 + i / kBrainColumns) + BrainPlace(row, i % kBrainColumns)] =
            static_cast<std::byte>(brain);
      }
      for (int i = 0; i < kBrainColumns; ++i) {
        out[BrainPlace(row, i)] =
            static_cast<std::byte>(nibbles[i] | nibbles[i + kBrainColumns] << 4U);
      }
    }
  }
  return exceptions;
}

/// The low nibbles of bytes 0, 2, 4 and 6, next to each other.
std::uint32_t EvenNibbles(std::uint64_t bytes) {
  bytes &= 0x000F000F000F000FU;
  bytes = (bytes | bytes >> 12U) & 0x000000FF000000FFU;
  return static_cast<std::uint32_t>((bytes | bytes >> 24U) & 0xFFFFU);
}

void NibbleSteps(const std::uint8_t* codes, std::int64_t pitch, std::int64_t columns,
                 std::byte* out) {
  for (std::int64_t row = 0; row < kRowBlock; ++row) {
    PackNibblesOfRow(codes + row * pitch, columns, row, out);
  }
}

}  // namespace

void PackNibblesOfRow(const std::uint8_t* codes, std::int64_t columns, std::int64_t row,
                      std::byte* out) {
  // Bit 4 * j of 16-bit word 2 * row + p of step c: column 8 * c + 2 * j + p.
  for (std::int64_t c = 0; c < columns; c += 8) {
    std::uint64_t eight = 0;  // little endian: byte i is column c + i
    std::memcpy(&eight, codes + c, sizeof(eight));
    const std::uint32_t words = EvenNibbles(eight) | EvenNibbles(eight >> 8U) << 16U;
    std::memcpy(out + c * 8 + row * 4, &words, sizeof(words));
  }
}

const PackingLoops& BaselinePackingLoops() {
  static constexpr PackingLoops kLoops = {ToBrains, BrainSteps, NibbleSteps};
  return kLoops;
}

std::span<const PackingLoops* const> PackingLoopsHere() {
  static const std::vector<const PackingLoops*> kHere = [] {
    std::vector<const PackingLoops*> here{&BaselinePackingLoops()};
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("f16c") != 0) {
      here.push_back(&Avx2PackingLoops());
    }
#endif
    return here;
  }();
  return kHere;
}

}  // namespace tyllm::die
