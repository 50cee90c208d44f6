// SPDX-License-Identifier: Apache-2.0
#include "worker/die/linear4.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "tests/worker/die/random_data.h"

namespace tyllm::die {
namespace {

template <int Rows, int Columns, int Group>
struct Shape {
  static constexpr int kRows = Rows;
  static constexpr int kColumns = Columns;
  static constexpr int kGroup = Group;
};

template <typename S>
class Linear4Test : public testing::Test {
 protected:
  static constexpr int kTokens = 200;

  Linear4Test()
      : matrix_(S::kRows, S::kColumns, S::kGroup, 1),
        packed_(Linear4Bytes(S::kRows, S::kColumns, S::kGroup)),
        memory_(ActivationBytes(kTokens, S::kColumns, S::kGroup)),
        x_(RandomFloats(static_cast<std::size_t>(kTokens) * S::kColumns, 2)) {
    PackLinear4(matrix_.source, {0, S::kRows, 0, S::kColumns, S::kGroup},
                {packed_.data(), Linear4Bytes(S::kRows, S::kColumns, S::kGroup)});
  }

  std::vector<float> Run(int first, int tokens) {
    const Activations a = ActivationsAt<S::kColumns, S::kGroup>(memory_.data(), kTokens);
    QuantizeActivations<S::kColumns, S::kGroup>(
        x_.data() + static_cast<std::size_t>(first) * S::kColumns, S::kColumns,
        static_cast<std::uint32_t>(tokens), a);
    std::vector<float> out(static_cast<std::size_t>(tokens) * S::kRows + 1, -77.0F);
    Linear4<S::kRows, S::kColumns, S::kGroup>(packed_.data(), a, static_cast<std::uint32_t>(tokens),
                                              out.data());
    EXPECT_EQ(out.back(), -77.0F) << "wrote behind its end";
    out.pop_back();
    return out;
  }

  RandomMatrix matrix_;
  AlignedBytes packed_;
  AlignedBytes memory_;
  std::vector<float> x_;
};

using Shapes = testing::Types<Shape<8, 32, 32>, Shape<1, 128, 128>, Shape<7, 64, 64>,
                              Shape<9, 96, 32>, Shape<64, 256, 128>, Shape<50, 320, 64>,
                              Shape<33, 512, 512>, Shape<96, 384, 96>, Shape<40, 1536, 128>>;
TYPED_TEST_SUITE(Linear4Test, Shapes);

TYPED_TEST(Linear4Test, IsTheProductToWithinInt16Activations) {
  constexpr int kSome = 5;
  const std::vector<float> out = this->Run(0, kSome);
  double error = 0;
  double norm = 0;
  for (int t = 0; t < kSome; ++t) {
    for (int r = 0; r < TypeParam::kRows; ++r) {
      double expected = 0;
      for (int c = 0; c < TypeParam::kColumns; ++c) {
        expected += this->matrix_.Value(r, c) *
                    this->x_[static_cast<std::size_t>(t * TypeParam::kColumns + c)];
      }
      const double difference = expected - out[static_cast<std::size_t>(t * TypeParam::kRows + r)];
      error += difference * difference;
      norm += expected * expected;
    }
  }
  EXPECT_LT(std::sqrt(error / norm), 4e-4);
}

TYPED_TEST(Linear4Test, ATokenHasTheSameBitsAloneAndInAnyBlock) {
  std::vector<float> alone;
  for (int t = 0; t < this->kTokens; ++t) {
    const std::vector<float> row = this->Run(t, 1);
    alone.insert(alone.end(), row.begin(), row.end());
  }
  for (const int tokens : {2, 3, 5, 6, 8, 13, 96, 97, 200}) {
    const std::vector<float> together = this->Run(0, tokens);
    const std::vector<float> expected(alone.begin(),
                                      alone.begin() + static_cast<std::ptrdiff_t>(together.size()));
    ASSERT_EQ(together, expected) << tokens << " tokens";
  }
}

TYPED_TEST(Linear4Test, PartsTogetherGiveTheBitsOfTheWhole) {
  for (const int tokens : {1, 9}) {
    const std::vector<float> whole = this->Run(0, tokens);
    const Activations a =
        ActivationsAt<TypeParam::kColumns, TypeParam::kGroup>(this->memory_.data(), this->kTokens);
    for (std::uint32_t count = 2; count <= 5; ++count) {
      std::vector<float> shared(whole.size(), -77.0F);
      for (std::uint32_t index = count; index-- > 0;) {
        Linear4<TypeParam::kRows, TypeParam::kColumns, TypeParam::kGroup>(
            this->packed_.data(), a, static_cast<std::uint32_t>(tokens), shared.data(),
            Part{index, count}.Of(BlocksOf(TypeParam::kRows).end));
      }
      ASSERT_EQ(shared, whole) << count << " parts, " << tokens << " tokens";
    }
  }
}

TYPED_TEST(Linear4Test, BytesGiveTheBitsOfTheSameNumbersAsInt16) {
  constexpr int kColumns = TypeParam::kColumns;
  constexpr int kGroup = TypeParam::kGroup;
  AlignedBytes memory(ActivationBytes(this->kTokens, kColumns, kGroup));
  const Activations wide = ActivationsAt<kColumns, kGroup>(this->memory_.data(), this->kTokens);
  const Activations bytes = ActivationsAt<kColumns, kGroup>(memory.data(), this->kTokens);
  QuantizeActivations<kColumns, kGroup, 8>(this->x_.data(), kColumns, this->kTokens, wide);
  QuantizeToBytes<kColumns, kGroup>(this->x_.data(), kColumns, this->kTokens, bytes);
  for (const std::uint32_t tokens : {1U, 2U, 5U, 6U, 13U, 97U, 200U}) {
    std::vector<float> expected(std::size_t{tokens} * TypeParam::kRows);
    std::vector<float> out(expected.size() + 1, -77.0F);
    Linear4<TypeParam::kRows, kColumns, kGroup>(this->packed_.data(), wide, tokens,
                                                expected.data());
    Linear4<TypeParam::kRows, kColumns, kGroup, 8>(this->packed_.data(), bytes, tokens, out.data());
    EXPECT_EQ(out.back(), -77.0F) << "wrote behind its end";
    out.pop_back();
    ASSERT_EQ(out, expected) << tokens << " tokens";
  }
}

TEST(Linear4, APartOfAMatrixWithASmallerGroupIsThatPart) {
  constexpr int kRows = 24;
  constexpr int kColumns = 192;
  constexpr int kGroup = 64;
  const RandomMatrix matrix(64, 512, 128, 3);
  const MatrixPart part{16, kRows, 64, kColumns, kGroup};
  AlignedBytes packed(Linear4Bytes(kRows, kColumns, kGroup));
  PackLinear4(matrix.source, part, {packed.data(), Linear4Bytes(kRows, kColumns, kGroup)});
  AlignedBytes memory(ActivationBytes(1, kColumns, kGroup));
  const Activations a = ActivationsAt<kColumns, kGroup>(memory.data(), 1);
  const std::vector<float> x = RandomFloats(kColumns, 4);
  QuantizeActivations<kColumns, kGroup>(x.data(), kColumns, 1, a);
  std::vector<float> out(kRows);
  Linear4<kRows, kColumns, kGroup>(packed.data(), a, 1, out.data());
  for (int r = 0; r < kRows; ++r) {
    double expected = 0;
    for (int c = 0; c < kColumns; ++c) {
      expected += matrix.Value(16 + r, 64 + c) * x[static_cast<std::size_t>(c)];
    }
    EXPECT_NEAR(out[static_cast<std::size_t>(r)], expected, 5e-3) << r;
  }
}

TEST(Linear4, ExtremeIntegersDoNotOverflow) {
  constexpr int kGroup = 512;
  RandomMatrix matrix(8, kGroup, kGroup, 5);
  std::fill(matrix.q.begin(), matrix.q.end(), std::uint8_t{15});
  std::fill(matrix.zero.begin(), matrix.zero.end(), std::uint8_t{0});
  AlignedBytes packed(Linear4Bytes(8, kGroup, kGroup));
  PackLinear4(matrix.source, {0, 8, 0, kGroup, kGroup},
              {packed.data(), Linear4Bytes(8, kGroup, kGroup)});
  AlignedBytes memory(ActivationBytes(1, kGroup, kGroup));
  const Activations a = ActivationsAt<kGroup, kGroup>(memory.data(), 1);
  const std::vector<float> x(kGroup, -3.0F);
  QuantizeActivations<kGroup, kGroup>(x.data(), kGroup, 1, a);
  float out[8];
  Linear4<8, kGroup, kGroup>(packed.data(), a, 1, out);
  for (int r = 0; r < 8; ++r) {
    const double expected = -3.0 * kGroup * matrix.Value(r, 0);
    EXPECT_NEAR(out[r] / expected, 1.0, 1e-5);
  }
}

TEST(Linear4, ExtremeBytesDoNotSaturate) {
  constexpr int kGroup = 512;
  constexpr std::uint32_t kTokens = 7;
  RandomMatrix matrix(16, kGroup, kGroup, 5);
  std::fill(matrix.q.begin(), matrix.q.end(), std::uint8_t{15});
  std::fill(matrix.zero.begin(), matrix.zero.end(), std::uint8_t{0});
  AlignedBytes packed(Linear4Bytes(16, kGroup, kGroup));
  PackLinear4(matrix.source, {0, 16, 0, kGroup, kGroup},
              {packed.data(), Linear4Bytes(16, kGroup, kGroup)});
  AlignedBytes memory(ActivationBytes(kTokens, kGroup, kGroup));
  const Activations a = ActivationsAt<kGroup, kGroup>(memory.data(), kTokens);
  for (const float sign : {-3.0F, 3.0F}) {
    const std::vector<float> x(kTokens * kGroup, sign);
    QuantizeToBytes<kGroup, kGroup>(x.data(), kGroup, kTokens, a);
    for (const std::uint32_t tokens : {1U, kTokens}) {
      float out[kTokens * 16];
      Linear4<16, kGroup, kGroup, 8>(packed.data(), a, tokens, out);
      for (std::uint32_t i = 0; i < tokens * 16; ++i) {
        const double expected = sign * kGroup * matrix.Value(i % 16, 0);
        EXPECT_NEAR(out[i] / expected, 1.0, 1e-5);
      }
    }
  }
}

#if TYLLM_DIE_AVX2
/// Of the bits of `numbers`.
std::uint32_t Fnv(const std::vector<float>& numbers) {
  std::uint32_t hash = 2166136261U;
  for (const float number : numbers) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, &number, sizeof(bits));
    hash = (hash ^ bits) * 16777619U;
  }
  return hash;
}

// This file is built for each of them.
TEST(Linear4, TheBitsAreTheSameOnEveryTargetThatHasFusedMultiplyAdds) {
  constexpr int kRows = 72;
  constexpr int kColumns = 384;
  constexpr int kGroup = 128;
  constexpr std::uint32_t kTokens = 125;
  const RandomMatrix matrix(kRows, kColumns, kGroup, 7);
  AlignedBytes packed(Linear4Bytes(kRows, kColumns, kGroup));
  PackLinear4(matrix.source, {0, kRows, 0, kColumns, kGroup},
              {packed.data(), Linear4Bytes(kRows, kColumns, kGroup)});
  AlignedBytes memory(ActivationBytes(kTokens, kColumns, kGroup));
  const Activations a = ActivationsAt<kColumns, kGroup>(memory.data(), kTokens);
  std::mt19937 random(8);
  std::vector<float> x(std::size_t{kTokens} * kColumns);
  for (float& value : x) {
    value = static_cast<float>(random() % 20001U) / 1024.0F - 9.0F;
  }
  std::vector<float> out(std::size_t{kTokens} * kRows);
  QuantizeActivations<kColumns, kGroup>(x.data(), kColumns, kTokens, a);
  Linear4<kRows, kColumns, kGroup>(packed.data(), a, kTokens, out.data());
  EXPECT_EQ(Fnv(out), 1901907099U);
  QuantizeToBytes<kColumns, kGroup>(x.data(), kColumns, kTokens, a);
  Linear4<kRows, kColumns, kGroup, 8>(packed.data(), a, kTokens, out.data());
  EXPECT_EQ(Fnv(out), 2694275251U);
}
#endif

TEST(QuantizeActivations, ZerosStayZeros) {
  AlignedBytes memory(ActivationBytes(1, 64, 32));
  const Activations a = ActivationsAt<64, 32>(memory.data(), 1);
  const std::vector<float> x(64, 0.0F);
  QuantizeActivations<64, 32>(x.data(), 64, 1, a);
  for (int i = 0; i < 64; ++i) {
    EXPECT_EQ(a.values[i], 0);
  }
  EXPECT_EQ(a.scales[1], 0.0F);
  EXPECT_EQ(a.sums[1], 0);
}

TEST(QuantizeActivations, LargestOfAGroupIsFullScaleAndSumsAreOfTheIntegers) {
  AlignedBytes memory(ActivationBytes(3, 96, 32));
  const Activations a = ActivationsAt<96, 32>(memory.data(), 3);
  const std::vector<float> x = RandomFloats(3 * 100, 6);
  QuantizeActivations<96, 32>(x.data(), 100, 3, a);
  for (std::size_t t = 0; t < 3; ++t) {
    for (std::size_t g = 0; g < 3; ++g) {
      int largest = 0;
      int sum = 0;
      for (std::size_t i = 0; i < 32; ++i) {
        const int value = a.values[(g * 3 + t) * 32 + i];
        largest = std::max(largest, std::abs(value));
        sum += value;
        EXPECT_NEAR(static_cast<float>(value) * a.scales[g * 3 + t], x[t * 100 + g * 32 + i],
                    a.scales[g * 3 + t] * 0.51F);
      }
      EXPECT_EQ(largest, 32767);
      EXPECT_EQ(a.sums[g * 3 + t], sum);
    }
  }
}

}  // namespace
}  // namespace tyllm::die
