// SPDX-License-Identifier: Apache-2.0
#include "worker/die/packing.h"

#include <gtest/gtest.h>

#include "tests/worker/die/random_data.h"
#include "worker/die/linear4.h"
#include "worker/die/linear_f16.h"
#include "worker/die/packing_loops.h"

namespace tyllm::die {
namespace {

// docs/formats/packed-weights.md, read literally. `nibbles`: where those of the column's group
// begin; `column` is counted from there.
unsigned NibbleAt(const std::vector<std::byte>& block, std::int64_t nibbles, std::int64_t row,
                  std::int64_t column) {
  const std::int64_t step = column / 8;
  const std::int64_t pair = column % 8 / 2;
  const auto at = static_cast<std::size_t>(nibbles + step * 64 + (2 * row + column % 2) * 2);
  const unsigned word = static_cast<unsigned>(block[at]) | static_cast<unsigned>(block[at + 1])
                                                               << 8U;
  return (word >> (4 * static_cast<unsigned>(pair))) & 15U;
}

TEST(Packing, BlockHoldsScalesZerosAndNibblesWhereTheFormatSays) {
  const RandomMatrix matrix(36, 256, 128, 1);
  const MatrixPart part{4, 32, 64, 128, 64};
  std::vector<std::byte> block(Linear4BlockBytes(128, 64));
  PackLinear4Block(matrix.source, part, 1, block);
  for (std::int64_t r = 0; r < 16; ++r) {
    const std::int64_t row = 4 + 16 + r;
    for (std::int64_t c = 0; c < 128; ++c) {
      ASSERT_EQ(NibbleAt(block, 128, r, c), matrix.q[static_cast<std::size_t>(row * 256 + 64 + c)]);
    }
    for (std::int64_t g = 0; g < 2; ++g) {
      const auto from = static_cast<std::size_t>(row * 2 + (64 + g * 64) / 128);
      std::uint16_t scale;
      std::memcpy(&scale, block.data() + g * 32 + r * 2, 2);
      EXPECT_EQ(scale, matrix.scale[from]);
      const auto zeros = static_cast<unsigned>(block[static_cast<std::size_t>(64 + g * 8 + r / 2)]);
      EXPECT_EQ((zeros >> (r % 2 * 4)) & 15U, matrix.zero[from]);
    }
  }
}

TEST(Packing, GroupsStandInRunsOfEight) {
  constexpr std::int64_t kGroups = 11;
  constexpr std::int64_t kColumns = kGroups * 32;
  constexpr std::int64_t kSecondRun = 320 + 8 * 256;
  const RandomMatrix matrix(16, kColumns, 32, 4);
  std::vector<std::byte> block(Linear4BlockBytes(kColumns, 32));
  ASSERT_EQ(block.size(), kSecondRun + 128 + 3 * 256);
  PackLinear4Block(matrix.source, {0, 16, 0, kColumns, 32}, 0, block);
  for (std::int64_t g = 0; g < kGroups; ++g) {
    const bool second = g >= 8;
    const std::int64_t run = second ? kSecondRun : 0;
    const std::int64_t in_run = second ? g - 8 : g;
    for (std::int64_t r = 0; r < 16; ++r) {
      const auto from = static_cast<std::size_t>(r * kGroups + g);
      std::uint16_t scale;
      std::memcpy(&scale, block.data() + run + in_run * 32 + r * 2, 2);
      EXPECT_EQ(scale, matrix.scale[from]);
      const std::int64_t zeros = run + (second ? 3 : 8) * 32 + in_run * 8;
      const auto both = static_cast<unsigned>(block[static_cast<std::size_t>(zeros + r / 2)]);
      EXPECT_EQ((both >> (r % 2 * 4)) & 15U, matrix.zero[from]);
      const std::int64_t nibbles = run + (second ? 128 : 320) + in_run * 256;
      for (std::int64_t c = 0; c < 32; ++c) {
        ASSERT_EQ(NibbleAt(block, nibbles, r, c),
                  matrix.q[static_cast<std::size_t>(r * kColumns + g * 32 + c)]);
      }
    }
  }
}

TEST(Packing, EveryInstructionSetWritesTheSameNibbles) {
  constexpr std::int64_t kPitch = 150;
  const RandomMatrix matrix(16, kPitch, 75, 5);
  for (const std::int64_t columns : {32, 64, 128}) {
    for (const PackingLoops* loops : PackingLoopsHere()) {
      std::vector<std::byte> steps(static_cast<std::size_t>(columns * 8), std::byte{0xFF});
      loops->nibble_steps(matrix.q.data() + 7, kPitch, columns, steps.data());
      for (std::int64_t r = 0; r < 16; ++r) {
        for (std::int64_t c = 0; c < columns; ++c) {
          ASSERT_EQ(NibbleAt(steps, 0, r, c),
                    matrix.q[static_cast<std::size_t>(7 + r * kPitch + c)]);
        }
      }
    }
  }
}

TEST(Packing, RunsOfABlockAreWrittenOneByOne) {
  for (const std::int64_t rows : {16, 5}) {
    const RandomMatrix matrix(rows, 640, 32, 6);
    const MatrixPart part{0, rows, 0, 640, 32};
    ASSERT_EQ(Linear4Runs(part), 3);
    std::vector<std::byte> whole(Linear4BlockBytes(640, 32), std::byte{0xFF});
    PackLinear4Block(matrix.source, part, 0, whole);
    std::vector<std::byte> block(whole.size(), std::byte{0xAA});
    for (std::int64_t run = 0; run < 3; ++run) {
      QuantizedSource source = matrix.source;  // with the codes of the run's columns alone
      std::vector<std::uint8_t> codes;
      const std::int64_t columns = std::min<std::int64_t>(256, 640 - run * 256);
      for (std::int64_t r = 0; r < rows; ++r) {
        const auto* const from = matrix.q.data() + r * 640 + run * 256;
        codes.insert(codes.end(), from, from + columns);
      }
      source.codes = {0, run * 256, columns, codes};
      PackLinear4Runs(source, part, 0, run, run + 1, block);
    }
    EXPECT_EQ(block, whole) << rows;
  }
}

TEST(Packing, MissingRowsOfTheLastBlockAreZeros) {
  const RandomMatrix matrix(17, 32, 32, 2);
  std::vector<std::byte> block(Linear4BlockBytes(32, 32), std::byte{0xFF});
  PackLinear4Block(matrix.source, {0, 17, 0, 32, 32}, 1, block);
  for (std::int64_t c = 0; c < 32; ++c) {
    EXPECT_EQ(NibbleAt(block, 64, 0, c), matrix.q[static_cast<std::size_t>(16 * 32 + c)]);
    EXPECT_EQ(NibbleAt(block, 64, 1, c), 0U);
    EXPECT_EQ(NibbleAt(block, 64, 15, c), 0U);
  }
}

TEST(Packing, SizesAreWholeCacheLines) {
  EXPECT_EQ(Linear4BlockBytes(1024, 128), 8512U);
  EXPECT_EQ(Linear4Bytes(17, 1024, 128), 2 * 8512U);
  EXPECT_EQ(LinearF16BlockBytes(1024), 32768U);
  EXPECT_EQ(LinearF16Bytes(33, 6), 3 * 192U);
}

TEST(Packing, HalvesOfARowBlockStandColumnByColumn) {
  std::vector<std::uint16_t> halves(3 * 10);
  for (std::size_t i = 0; i < halves.size(); ++i) {
    halves[i] = static_cast<std::uint16_t>(i + 1);
  }
  std::vector<std::byte> block(LinearF16BlockBytes(8), std::byte{0xFF});
  PackF16Block(halves, 3, 10, 8, block);
  for (std::size_t c = 0; c < 8; ++c) {
    for (std::size_t r = 0; r < 16; ++r) {
      std::uint16_t half;
      std::memcpy(&half, block.data() + (c * 16 + r) * 2, 2);
      EXPECT_EQ(half, r < 3 ? halves[r * 10 + c] : 0);
    }
  }
}

}  // namespace
}  // namespace tyllm::die
