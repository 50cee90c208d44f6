// SPDX-License-Identifier: Apache-2.0
#include "worker/die/linear8.h"

#include <gtest/gtest.h>

#include "tests/worker/die/random_data.h"

namespace tyllm::die {
namespace {

template <int Rows, int Columns>
struct Shape {
  static constexpr int kRows = Rows;
  static constexpr int kColumns = Columns;
  static constexpr int kGroup = static_cast<int>(Linear8Group(Columns));
};

template <typename S>
class Linear8Test : public testing::Test {
 protected:
  static constexpr int kTokens = 20;
  static constexpr std::size_t kBlockBytes = Linear8BlockBytes(S::kColumns, S::kGroup);

  Linear8Test()
      : halves_(Halves(RandomFloats(static_cast<std::size_t>(S::kRows) * S::kColumns, 1))),
        values_(Floats32(halves_)),
        packed_(Linear8Bytes(S::kRows, S::kColumns, S::kGroup)),
        memory_(ActivationBytes(kTokens, S::kColumns, S::kGroup)),
        x_(RandomFloats(static_cast<std::size_t>(kTokens) * S::kColumns, 2)) {
    for (std::int64_t block = 0; block < RowBlocks(S::kRows); ++block) {
      PackLinear8Block(
          std::span<const std::uint16_t>(halves_).subspan(
              static_cast<std::size_t>(block * kRowBlock * S::kColumns)),
          std::min<std::int64_t>(kRowBlock, S::kRows - block * kRowBlock), S::kColumns, S::kGroup,
          {packed_.data() + static_cast<std::size_t>(block) * kBlockBytes, kBlockBytes});
    }
  }

  Activations Quantized(int first, int tokens) {
    const Activations a = ActivationsAt<S::kColumns, S::kGroup>(memory_.data(), kTokens);
    QuantizeActivations<S::kColumns, S::kGroup>(
        x_.data() + static_cast<std::size_t>(first) * S::kColumns, S::kColumns,
        static_cast<std::uint32_t>(tokens), a);
    return a;
  }

  std::vector<float> Run(int first, int tokens, std::uint32_t parts = 1) {
    const Activations a = Quantized(first, tokens);
    std::vector<float> out(static_cast<std::size_t>(tokens) * S::kRows, -77.0F);
    for (std::uint32_t part = 0; part < parts; ++part) {
      Linear8<S::kRows, S::kColumns, S::kGroup>(packed_.data(), a,
                                                static_cast<std::uint32_t>(tokens), out.data(),
                                                Part{part, parts}.Of(BlocksOf(S::kRows).end));
    }
    return out;
  }

  std::vector<std::uint16_t> halves_;
  std::vector<float> values_;
  AlignedBytes packed_;
  AlignedBytes memory_;
  std::vector<float> x_;
};

using Shapes =
    testing::Types<Shape<16, 32>, Shape<1, 128>, Shape<33, 96>, Shape<64, 896>, Shape<50, 320>>;
TYPED_TEST_SUITE(Linear8Test, Shapes);

TYPED_TEST(Linear8Test, IsTheProductToWithinAStepOfEachGroup) {
  const std::vector<float> out = this->Run(0, this->kTokens);
  constexpr int kGroup = TypeParam::kGroup;
  for (int t = 0; t < this->kTokens; ++t) {
    for (int r = 0; r < TypeParam::kRows; ++r) {
      double expected = 0;
      double bound = 0;
      for (int first = 0; first < TypeParam::kColumns; first += kGroup) {
        double largest = 0;
        double sum = 0;
        for (int c = first; c < first + kGroup; ++c) {
          const double w = this->values_[static_cast<std::size_t>(r * TypeParam::kColumns + c)];
          const double x = this->x_[static_cast<std::size_t>(t * TypeParam::kColumns + c)];
          expected += w * x;
          largest = std::max(largest, std::fabs(w));
          sum += std::fabs(x);
        }
        bound += sum * largest * (0.502 / 127 + 1e-3);  // half a step, binary16 of the scale
      }
      ASSERT_NEAR(out[static_cast<std::size_t>(t * TypeParam::kRows + r)], expected, bound);
    }
  }
}

TYPED_TEST(Linear8Test, ATokenHasTheSameBitsAloneInAnyBlockAndInAnyNumberOfParts) {
  const std::vector<float> together = this->Run(0, this->kTokens);
  for (std::uint32_t parts = 2; parts <= 4; ++parts) {
    EXPECT_EQ(this->Run(0, this->kTokens, parts), together);
  }
  for (int t = 0; t < this->kTokens; ++t) {
    const auto from = together.begin() + t * TypeParam::kRows;
    ASSERT_EQ(this->Run(t, 1), std::vector<float>(from, from + TypeParam::kRows)) << t;
  }
}

TEST(Linear8, ExtremeIntegersDoNotOverflow) {
  constexpr int kColumns = 128;
  const std::vector<std::uint16_t> halves = Halves(std::vector<float>(16 * kColumns, -2.0F));
  AlignedBytes packed(Linear8Bytes(16, kColumns, 128));
  PackLinear8Block(halves, 16, kColumns, 128, {packed.data(), Linear8BlockBytes(kColumns, 128)});
  AlignedBytes memory(ActivationBytes(1, kColumns, 128));
  const Activations a = ActivationsAt<kColumns, 128>(memory.data(), 1);
  const std::vector<float> x(kColumns, 5.0F);
  QuantizeActivations<kColumns, 128>(x.data(), kColumns, 1, a);
  float out[16];
  Linear8<16, kColumns, 128>(packed.data(), a, 1, out);
  for (const float value : out) {
    EXPECT_NEAR(value, -2.0 * 5.0 * kColumns, 2.0);
  }
}

TEST(Linear8, ZerosAndMissingRowsStayZeros) {
  const std::vector<std::uint16_t> halves(3 * 32, 0);
  std::vector<std::byte> block(Linear8BlockBytes(32, 32), std::byte{0xFF});
  PackLinear8Block(halves, 3, 32, 32, block);
  for (const std::byte byte : block) {
    EXPECT_EQ(byte, std::byte{0});
  }
}

}  // namespace
}  // namespace tyllm::die
