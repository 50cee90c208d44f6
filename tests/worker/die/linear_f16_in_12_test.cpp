// SPDX-License-Identifier: Apache-2.0
#include "worker/die/linear_f16_in_12.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/worker/die/random_data.h"
#include "worker/die/packing_loops.h"

namespace tyllm::die {
namespace {

/// binary16 bits of normal numbers that were rounded to bfloat16.
std::vector<std::uint16_t> BrainHalves(std::size_t count, float deviation, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> values(RoundUp(count, kLanes), 0.0F);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = std::bit_cast<float>(std::bit_cast<std::uint32_t>(normal(random)) & 0xFFFF0000U);
  }
  std::vector<std::uint16_t> halves = Halves(values);
  halves.resize(count);
  return halves;
}

/// Every binary16 that has at most eight significant bits and is a number, in an order that spreads
/// exponents over rows and columns.
std::vector<std::uint16_t> AllPatterns() {
  std::vector<std::uint16_t> all;
  for (unsigned i = 0; i < 0x10000U; ++i) {
    const auto half = static_cast<std::uint16_t>(i * 40503U);
    const std::uint16_t eight[kLanes] = {half};
    float value[kLanes];
    Store(value, LoadHalves(eight));
    const auto bits = std::bit_cast<std::uint32_t>(value[0]);
    if ((bits & 0xFFFFU) == 0 && (bits & 0x7FFFFFFFU) <= 0x7F800000U) {
      all.push_back(half);
    }
  }
  return all;
}

std::vector<float> UnpackedBlock(const std::vector<std::byte>& block, int columns,
                                 std::uint64_t exceptions) {
  const BlockIn12 packed{block.data(), In12HeadBytes(exceptions)};
  std::vector<float> out;
  for (int r = 0; r < kRowBlock; ++r) {
    for (int c = 0; c < columns; ++c) {
      out.push_back(packed.Number(r, c));
    }
  }
  for (int i = 0; i < packed.Exceptions(); ++i) {
    const In12Exception exception = packed.Exception(i);
    out[static_cast<std::size_t>(exception.row() * columns + exception.column())] =
        JoinBrain(exception.high(), packed.Low(exception.row(), exception.column()));
  }
  return out;
}

std::vector<std::uint32_t> Bits(const std::vector<float>& values) {
  std::vector<std::uint32_t> bits;
  for (const float value : values) {
    bits.push_back(std::bit_cast<std::uint32_t>(value));
  }
  return bits;
}

TEST(PackingIn12, KeepsTheBitsOfEveryNumberOfEightSignificantBits) {
  std::vector<std::uint16_t> all = AllPatterns();
  ASSERT_GT(all.size(), 8000U);  // 31 exponents, two signs, 128 mantissas; and subnormal ones
  all.resize(RoundUp(all.size(), 16 * kStepColumns), 0x8000U);  // -0
  const auto columns = static_cast<std::int64_t>(all.size()) / 16;
  const auto exceptions = In12Exceptions(all, 16, columns);
  ASSERT_TRUE(exceptions.has_value());
  ASSERT_GT(*exceptions, 0);
  const auto room = static_cast<std::uint64_t>(*exceptions);
  std::vector<std::byte> block(LinearF16In12BlockBytes(static_cast<std::uint64_t>(columns), room),
                               std::byte{0xFF});
  PackF16In12Block(all, 16, columns, *exceptions, block);
  EXPECT_EQ((BlockIn12{block.data(), In12HeadBytes(room)}.Exceptions()), *exceptions);
  EXPECT_EQ(Bits(UnpackedBlock(block, static_cast<int>(columns), room)), Bits(Floats32(all)));
}

// docs/formats/packed-weights.md, read literally.
std::vector<std::byte> ExpectedBlock(const std::vector<std::uint16_t>& halves, int rows,
                                     int columns, std::uint64_t exceptions) {
  std::vector<std::uint16_t> padded = halves;
  padded.resize(static_cast<std::size_t>(16 * columns), 0);
  std::vector<std::uint32_t> numbers = Bits(Floats32(padded));
  std::map<std::uint32_t, int> counts;
  for (const std::uint32_t number : numbers) {
    ++counts[number >> 24U];
  }
  std::vector<std::uint32_t> table(256);
  for (std::uint32_t high = 0; high < 256; ++high) {
    table[high] = high;
  }
  std::stable_sort(table.begin(), table.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return counts[a] > counts[b]; });
  table.resize(16);
  std::vector<std::byte> block(
      LinearF16In12BlockBytes(static_cast<std::uint64_t>(columns), exceptions));
  for (std::size_t i = 0; i < 16; ++i) {
    block[i] = static_cast<std::byte>(table[i]);
  }
  std::uint32_t outside = 0;
  for (int c = 0; c < columns; ++c) {
    for (int r = 0; r < 16; ++r) {
      const std::uint32_t number = numbers[static_cast<std::size_t>(r * columns + c)];
      const auto found = std::find(table.begin(), table.end(), number >> 24U);
      const auto in_step = static_cast<std::size_t>(c % 8);
      const auto place = static_cast<std::size_t>(r / 4 * 16 + c % 4 / 2 * 8 + r % 4 * 2 + c % 2);
      std::byte* const step = block.data() + In12HeadBytes(exceptions) + c / 8 * 192;
      if (found != table.end()) {
        step[place] |= static_cast<std::byte>((found - table.begin()) << (in_step < 4 ? 0 : 4));
      } else {
        const std::uint32_t entry = static_cast<std::uint32_t>(c * 16 + r) | number >> 24U << 24U;
        std::memcpy(block.data() + 20 + std::size_t{4} * outside++, &entry, 4);
      }
      step[(in_step < 4 ? 64 : 128) + place] = static_cast<std::byte>(number >> 16U);
    }
  }
  std::memcpy(block.data() + 16, &outside, 4);
  EXPECT_EQ(rows, std::ssize(halves) / columns);
  return block;
}

TEST(PackingIn12, EveryInstructionSetWritesWhatTheFormatSays) {
  const std::vector<std::uint16_t> patterns = AllPatterns();
  for (const int columns : {8, 16, 24, 512, 520, 1040}) {
    for (const int rows : {1, 3, 15, 16}) {
      std::vector<std::uint16_t> halves = BrainHalves(static_cast<std::size_t>(rows * columns),
                                                      0.02F, static_cast<unsigned>(rows + columns));
      for (std::size_t i = 3; i < halves.size(); i += 29) {  // any exponent, zeros, infinities
        halves[i] = patterns[i * 131 % patterns.size()];
      }
      const auto needed = In12Exceptions(halves, rows, columns);
      ASSERT_TRUE(needed.has_value());
      const auto room = static_cast<std::uint64_t>(*needed);
      const std::vector<std::byte> expected = ExpectedBlock(halves, rows, columns, room);
      for (const PackingLoops* loops : PackingLoopsHere()) {
        std::vector<std::byte> block(expected.size(), std::byte{0xFF});
        PackF16In12Block(*loops, halves, rows, columns, *needed, block);
        EXPECT_EQ(block, expected) << rows << " x " << columns;
      }
    }
  }
}

TEST(PackingIn12, EveryInstructionSetSeesWhichNumbersFit) {
  std::vector<std::uint16_t> halves(8, 0x3C00);
  for (const PackingLoops* loops : PackingLoopsHere()) {
    for (unsigned bits = 0; bits < 0x10000U; ++bits) {
      const std::size_t at = bits % 8;
      halves[at] = static_cast<std::uint16_t>(bits);
      const std::uint32_t number = Bits(Floats32(halves))[at];
      const bool fits = (number & 0xFFFFU) == 0 && (number & 0x7FFFFFFFU) <= 0x7F800000U;
      std::uint16_t brains[8];
      ASSERT_EQ(loops->to_brains(halves.data(), 8, brains), fits) << std::hex << bits;
      if (fits) {
        ASSERT_EQ(brains[at], number >> 16U) << std::hex << bits;
      }
      halves[at] = 0x3C00;
    }
  }
}

TEST(PackingIn12, ABlockWithAnotherBitDoesNotFit) {
  std::vector<std::uint16_t> halves = BrainHalves(16 * 64, 0.02F, 1);
  EXPECT_TRUE(In12Exceptions(halves, 16, 64).has_value());
  for (const int other : {0x3C01, 0x3C04, 0x8281, 0x7E00, 0xFD00}) {  // the last two: NaN
    std::vector<std::uint16_t> changed = halves;
    changed[700] = static_cast<std::uint16_t>(other);
    EXPECT_FALSE(In12Exceptions(changed, 16, 64).has_value()) << std::hex << other;
  }
  for (const int other : {0x7C00, 0xFC00, 0x3C08, 0x00FF, 0x8001, 0x0000, 0x8000}) {
    std::vector<std::uint16_t> changed = halves;
    changed[700] = static_cast<std::uint16_t>(other);
    EXPECT_TRUE(In12Exceptions(changed, 16, 64).has_value()) << std::hex << other;
  }
}

TEST(PackingIn12, MissingRowsAreZerosAndNoExceptions) {
  const std::vector<std::uint16_t> halves = BrainHalves(15 * 64, 0.02F, 2);
  const auto exceptions = In12Exceptions(halves, 15, 64);
  ASSERT_TRUE(exceptions.has_value());
  EXPECT_LT(*exceptions, 20);
  std::vector<std::byte> block(LinearF16In12BlockBytes(64, 20));
  PackF16In12Block(halves, 15, 64, 20, block);
  const std::vector<float> values = UnpackedBlock(block, 64, 20);
  EXPECT_TRUE(std::all_of(values.begin() + 15 * 64, values.end(), [](float x) { return x == 0; }));
}

TEST(PackingIn12, SizesAreWholeCacheLines) {
  EXPECT_EQ(In12HeadBytes(0), 64U);
  EXPECT_EQ(In12Room(0), 11U);
  EXPECT_EQ(In12HeadBytes(11), 64U);
  EXPECT_EQ(In12HeadBytes(12), 128U);
  EXPECT_EQ(In12Room(12), 27U);
  EXPECT_EQ(LinearF16In12BlockBytes(1024, 11), 64U + 24576U);
}

template <int Rows, int Columns>
struct Shape {
  static constexpr int kRows = Rows;
  static constexpr int kColumns = Columns;
};

template <typename S>
class LinearF16In12Test : public testing::Test {
 protected:
  static constexpr int kTokens = 61;
  static constexpr int kRoom = 59;

  /// Every `spread`th number is scaled far down, so that blocks get exceptions.
  explicit LinearF16In12Test() : x_(RandomFloats(kTokens * S::kColumns, 2)) {
    halves_ = BrainHalves(std::size_t{S::kRows} * S::kColumns, 0.02F, 1);
    const std::vector<std::uint16_t> tiny =
        BrainHalves(std::size_t{S::kRows} * S::kColumns, 4e-7F, 3);
    for (std::size_t i = 5; i < halves_.size(); i += 397) {
      halves_[i] = tiny[i];
    }
    for (std::int64_t block = 0; block < RowBlocks(S::kRows); ++block) {
      const std::int64_t rows = std::min<std::int64_t>(16, S::kRows - block * 16);
      const auto of_block = std::span<const std::uint16_t>(halves_)
                                .subspan(static_cast<std::size_t>(block) * 16 * S::kColumns)
                                .first(static_cast<std::size_t>(rows) * S::kColumns);
      exceptions_ += In12Exceptions(of_block, rows, S::kColumns).value();
      PackF16Block(of_block, rows, S::kColumns, S::kColumns,
                   Block(wide_, block, LinearF16BlockBytes(S::kColumns)));
      PackF16In12Block(of_block, rows, S::kColumns, kRoom,
                       Block(narrow_, block, LinearF16In12BlockBytes(S::kColumns, kRoom)));
    }
  }

  static std::span<std::byte> Block(AlignedBytes& bytes, std::int64_t block, std::size_t size) {
    return {bytes.data() + static_cast<std::size_t>(block) * size, size};
  }

  std::vector<std::uint16_t> halves_;
  std::int64_t exceptions_ = 0;
  AlignedBytes wide_{LinearF16Bytes(S::kRows, S::kColumns)};
  AlignedBytes narrow_{LinearF16In12Bytes(S::kRows, S::kColumns, kRoom)};
  std::vector<float> x_;
};

using Shapes = testing::Types<Shape<8, 8>, Shape<1, 64>, Shape<13, 120>, Shape<40, 256>,
                              Shape<100, 72>, Shape<64, 1024>, Shape<16, 896>>;
TYPED_TEST_SUITE(LinearF16In12Test, Shapes);

TYPED_TEST(LinearF16In12Test, GivesTheBitsOfTheProductWithSixteenBits) {
  constexpr int kRows = TypeParam::kRows;
  constexpr int kColumns = TypeParam::kColumns;
  if (kRows * kColumns > 10000) {
    EXPECT_GT(this->exceptions_, 4);
  }
  for (const std::uint32_t tokens : {1U, 2U, 5U, 6U, 7U, 8U, 13U, 61U}) {
    std::vector<float> expected(std::size_t{tokens} * kRows);
    std::vector<float> out(expected.size(), 7.0F);
    LinearF16<kRows, kColumns>(this->wide_.data(), this->x_.data(), tokens, expected.data());
    LinearF16In12<kRows, kColumns, TestFixture::kRoom>(this->narrow_.data(), this->x_.data(),
                                                       tokens, out.data());
    ASSERT_EQ(Bits(out), Bits(expected)) << tokens;
  }
}

TYPED_TEST(LinearF16In12Test, WritesOnlyTheRowBlocksThatItIsAskedFor) {
  constexpr int kRows = TypeParam::kRows;
  constexpr int kColumns = TypeParam::kColumns;
  std::vector<float> expected(kRows, 7.0F);
  std::vector<float> out(kRows, 7.0F);
  const Slice last{BlocksOf(kRows).end - 1, BlocksOf(kRows).end};
  LinearF16<kRows, kColumns>(this->wide_.data(), this->x_.data(), 1, expected.data(), last);
  LinearF16In12<kRows, kColumns, TestFixture::kRoom>(this->narrow_.data(), this->x_.data(), 1,
                                                     out.data(), last);
  EXPECT_EQ(Bits(out), Bits(expected));
}

TYPED_TEST(LinearF16In12Test, EmbedsTheSameRows) {
  constexpr int kRows = TypeParam::kRows;
  constexpr int kColumns = TypeParam::kColumns;
  constexpr std::int32_t kFirst = 1000;
  std::vector<std::int32_t> ids{kFirst - 1, kFirst + kRows, 0, 2147483647};
  for (std::int32_t row = 0; row < kRows; ++row) {
    ids.push_back(kFirst + row);
  }
  const auto tokens = static_cast<std::uint32_t>(ids.size());
  std::vector<float> expected(std::size_t{tokens} * kColumns, 5.0F);
  std::vector<float> out(expected.size(), 6.0F);
  Embed<kRows, kColumns>(this->wide_.data(), kFirst, ids.data(), tokens, expected.data());
  EmbedIn12<kRows, kColumns, TestFixture::kRoom>(this->narrow_.data(), kFirst, ids.data(), tokens,
                                                 out.data());
  EXPECT_EQ(Bits(out), Bits(expected));
}

}  // namespace
}  // namespace tyllm::die
