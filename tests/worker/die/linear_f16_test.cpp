// SPDX-License-Identifier: Apache-2.0
#include "worker/die/linear_f16.h"

#include <gtest/gtest.h>

#include "tests/worker/die/random_data.h"

namespace tyllm::die {
namespace {

template <int Rows, int Columns>
struct Shape {
  static constexpr int kRows = Rows;
  static constexpr int kColumns = Columns;
};

template <typename S>
class LinearF16Test : public testing::Test {
 protected:
  static constexpr int kTokens = 17;
  static constexpr std::size_t kBytes = LinearF16Bytes(S::kRows, S::kColumns);

  LinearF16Test()
      : halves_(Halves(RandomFloats(RoundUp(S::kRows * S::kColumns, kLanes), 1))),
        values_(Floats32(halves_)),
        packed_(kBytes),
        x_(RandomFloats(kTokens * S::kColumns, 2)) {
    for (std::int64_t block = 0; block < RowBlocks(S::kRows); ++block) {
      PackF16Block(
          std::span<const std::uint16_t>(halves_).subspan(static_cast<std::size_t>(block) * 16 *
                                                          S::kColumns),
          std::min<std::int64_t>(16, S::kRows - block * 16), S::kColumns, S::kColumns,
          {packed_.data() + static_cast<std::size_t>(block) * LinearF16BlockBytes(S::kColumns),
           LinearF16BlockBytes(S::kColumns)});
    }
  }

  std::vector<float> Run(int first, int tokens) {
    std::vector<float> out(static_cast<std::size_t>(tokens) * S::kRows);
    LinearF16<S::kRows, S::kColumns>(packed_.data(), x_.data() + first * S::kColumns,
                                     static_cast<std::uint32_t>(tokens), out.data());
    return out;
  }

  std::vector<std::uint16_t> halves_;
  std::vector<float> values_;
  AlignedBytes packed_;
  std::vector<float> x_;
};

using Shapes = testing::Types<Shape<8, 8>, Shape<1, 64>, Shape<13, 120>, Shape<40, 256>,
                              Shape<100, 72>, Shape<64, 1024>>;
TYPED_TEST_SUITE(LinearF16Test, Shapes);

TYPED_TEST(LinearF16Test, IsTheProduct) {
  const std::vector<float> out = this->Run(0, this->kTokens);
  for (int t = 0; t < this->kTokens; ++t) {
    for (int r = 0; r < TypeParam::kRows; ++r) {
      double expected = 0;
      double size = 0;
      for (int c = 0; c < TypeParam::kColumns; ++c) {
        const double product =
            static_cast<double>(
                this->values_[static_cast<std::size_t>(r * TypeParam::kColumns + c)]) *
            this->x_[static_cast<std::size_t>(t * TypeParam::kColumns + c)];
        expected += product;
        size += std::fabs(product);
      }
      ASSERT_NEAR(out[static_cast<std::size_t>(t * TypeParam::kRows + r)], expected, size * 2e-6);
    }
  }
}

TYPED_TEST(LinearF16Test, ATokenHasTheSameBitsAloneAndInAnyBlock) {
  const std::vector<float> together = this->Run(0, this->kTokens);
  for (int t = 0; t < this->kTokens; ++t) {
    const auto from = together.begin() + t * TypeParam::kRows;
    EXPECT_EQ(this->Run(t, 1), std::vector<float>(from, from + TypeParam::kRows)) << t;
  }
}

TYPED_TEST(LinearF16Test, EmbedReadsRowsOfTheSameTableAndGivesZerosForOtherIds) {
  constexpr std::int32_t kFirst = 1000;
  const std::int32_t ids[] = {
      kFirst, kFirst - 1, kFirst + TypeParam::kRows - 1, kFirst + TypeParam::kRows, 0, 2147483647};
  std::vector<float> out(6 * TypeParam::kColumns, 5.0F);
  Embed<TypeParam::kRows, TypeParam::kColumns>(this->packed_.data(), kFirst, ids, 6, out.data());
  for (std::size_t c = 0; c < TypeParam::kColumns; ++c) {
    EXPECT_EQ(out[c], this->values_[c]);
    EXPECT_EQ(out[2 * TypeParam::kColumns + c],
              this->values_[(TypeParam::kRows - 1) * TypeParam::kColumns + c]);
    for (const std::size_t row : {1U, 3U, 4U, 5U}) {
      EXPECT_EQ(out[row * TypeParam::kColumns + c], 0.0F);
    }
  }
}

}  // namespace
}  // namespace tyllm::die
