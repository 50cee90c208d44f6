// SPDX-License-Identifier: Apache-2.0
#include "worker/die/packing.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "worker/die/linear4.h"
#include "worker/die/linear8.h"
#include "worker/die/linear_f16.h"
#include "worker/die/packing_loops.h"

namespace tyllm::die {

namespace {

void StoreHalf(std::byte* to, std::uint16_t half) {
  std::memcpy(to, &half, sizeof(half));
}

/// Groups in the run of group `g`, and where the run begins.
struct Run {
  std::int64_t groups;
  std::int64_t begin;
};

Run RunOf(const Linear4Places& places, std::int64_t g) {
  constexpr auto kRun = static_cast<std::int64_t>(kRunGroups);
  const std::int64_t groups = places.columns / places.group;
  const auto begin = static_cast<std::int64_t>(Linear4RunOffset(
      static_cast<std::uint64_t>(places.columns), static_cast<std::uint64_t>(places.group),
      static_cast<std::uint64_t>(g / kRun)));
  return {g < groups / kRun * kRun ? kRun : groups % kRun, begin};
}

/// Number of a group in its run.
std::int64_t InRun(std::int64_t g) {
  return g % static_cast<std::int64_t>(kRunGroups);
}

}  // namespace

std::int64_t Linear4Places::Scales(std::int64_t g) const {
  return RunOf(*this, g).begin + InRun(g) * 32;
}

std::int64_t Linear4Places::Zeros(std::int64_t g) const {
  const Run run = RunOf(*this, g);
  return run.begin + run.groups * 32 + InRun(g) * 8;
}

std::int64_t Linear4Places::Nibbles(std::int64_t g) const {
  const Run run = RunOf(*this, g);
  const std::uint64_t head = Linear4HeadBytes(static_cast<std::uint64_t>(run.groups));
  return run.begin + static_cast<std::int64_t>(head) + InRun(g) * group * 8;
}

void PackLinear4Runs(const QuantizedSource& matrix, const MatrixPart& part, std::int64_t block,
                     std::int64_t first, std::int64_t end, std::span<std::byte> out) {
  const PackingLoops& loops = *PackingLoopsHere().back();
  const Linear4Places places{part.columns, part.group};
  const std::int64_t rows = std::min<std::int64_t>(kRowBlock, part.rows - block * kRowBlock);
  const std::int64_t row = part.first_row + block * kRowBlock;
  const CodeWindow& codes = matrix.codes;
  const std::int64_t groups = matrix.columns / matrix.group;
  constexpr auto kRun = static_cast<std::int64_t>(kRunGroups);
  const std::int64_t last = std::min(end * kRun, part.columns / part.group);
  for (std::int64_t g = first * kRun; g < last; ++g) {
    if (InRun(g) == 0) {
      const Run run = RunOf(places, g);
      std::fill_n(out.begin() + run.begin, places.Nibbles(g) - run.begin, std::byte{0});
    }
    const std::int64_t column = part.first_column + g * part.group;
    const std::uint8_t* const q =
        codes.q.data() + (row - codes.first_row) * codes.columns + (column - codes.first_column);
    std::byte* const nibbles = out.data() + places.Nibbles(g);
    if (rows == kRowBlock) {
      loops.nibble_steps(q, codes.columns, part.group, nibbles);
    } else {
      std::fill_n(nibbles, part.group * 8, std::byte{0});
      for (std::int64_t r = 0; r < rows; ++r) {
        PackNibblesOfRow(q + r * codes.columns, part.group, r, nibbles);
      }
    }
    std::byte* const scales = out.data() + places.Scales(g);
    std::byte* const zeros = out.data() + places.Zeros(g);
    for (std::int64_t r = 0; r < rows; ++r) {
      const auto from = static_cast<std::size_t>((row + r) * groups + column / matrix.group);
      StoreHalf(scales + r * 2, matrix.scale[from]);
      zeros[r / 2] |= static_cast<std::byte>((matrix.zero[from] & 15U) << (r % 2 == 0 ? 0U : 4U));
    }
  }
}

void PackLinear4Block(const QuantizedSource& matrix, const MatrixPart& part, std::int64_t block,
                      std::span<std::byte> out) {
  PackLinear4Runs(matrix, part, block, 0, Linear4Runs(part), out);
}

void PackLinear4(const QuantizedSource& matrix, const MatrixPart& part, std::span<std::byte> out) {
  const std::size_t bytes = Linear4BlockBytes(static_cast<std::uint64_t>(part.columns),
                                              static_cast<std::uint64_t>(part.group));
  for (std::int64_t block = 0; block < RowBlocks(part.rows); ++block) {
    PackLinear4Block(matrix, part, block,
                     out.subspan(static_cast<std::size_t>(block) * bytes, bytes));
  }
}

void PackF16Block(std::span<const std::uint16_t> halves, std::int64_t rows, std::int64_t pitch,
                  std::int64_t columns, std::span<std::byte> out) {
  std::fill(out.begin(), out.end(), std::byte{0});
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) {
      StoreHalf(out.data() + (c * kRowBlock + r) * 2,
                halves[static_cast<std::size_t>(r * pitch + c)]);
    }
  }
}

void PackLinear8Block(std::span<const std::uint16_t> halves, std::int64_t rows,
                      std::int64_t columns, std::int64_t group, std::span<std::byte> out) {
  std::fill(out.begin(), out.end(), std::byte{0});
  std::byte* const scales = out.data() + columns * kRowBlock;
  std::vector<float> values(static_cast<std::size_t>(group));
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t first = 0; first < columns; first += group) {
      const std::uint16_t* const from = halves.data() + r * columns + first;
      float largest = 0;
      for (std::int64_t i = 0; i < group; i += kLanes) {
        Store(values.data() + i, LoadHalves(from + i));
        largest = std::max(largest, Largest(Magnitude(Load(values.data() + i))));
      }
      std::uint16_t bits[kLanes];
      StoreHalves(bits, Fill(largest / 127.0F));
      StoreHalf(scales + (first / group * kRowBlock + r) * 2, bits[0]);
      float scale[kLanes];
      Store(scale, LoadHalves(bits));
      for (std::int64_t i = 0; i < group; ++i) {
        const float x = scale[0] > 0 ? values[static_cast<std::size_t>(i)] / scale[0] : 0.0F;
        const auto q = static_cast<std::int8_t>(std::lrint(std::clamp(x, -127.0F, 127.0F)));
        const std::int64_t c = first + i;
        out[static_cast<std::size_t>(c / 2 * 2 * kRowBlock + 2 * r + c % 2)] =
            static_cast<std::byte>(q);
      }
    }
  }
}

}  // namespace tyllm::die
