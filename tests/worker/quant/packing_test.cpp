// SPDX-License-Identifier: Apache-2.0
// Codes as the tensors of a file, packed where they are: the same bytes on every machine.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/worker/quant/cpu_machine.h"
#include "tests/worker/quant/made_statistics.h"
#include "worker/model/linear_formats.h"
#include "worker/quant/packed_linear.h"

namespace tyllm::quant {
namespace {

using tensor::Matrix;
using testing::MadeMatrix;

struct Shape {
  std::int64_t out;
  std::int64_t in;
  std::int64_t group;
};

std::ostream& operator<<(std::ostream& out, const Shape& shape) {
  return out << shape.out << " x " << shape.in << " by " << shape.group;
}

class Packing : public ::testing::TestWithParam<std::tuple<std::string, Shape>> {
 protected:
  void SetUp() override {
    auto made = tensor::MakeBackend(std::get<0>(GetParam()));
    if (!made.ok()) {
      GTEST_SKIP() << made.status().message();
    }
    backend_ = *std::move(made);
    kernels_.emplace(*backend_, cpu_.lanes);
  }

  Shape shape() const { return std::get<1>(GetParam()); }

  /// The same codes on every machine (layer_kernels_test.cpp).
  CodedLinear Coded(LayerKernels& kernels, tensor::Backend& backend) const {
    const Matrix placed = backend.Place(MadeMatrix("w", shape().out, shape().in));
    return kernels.RoundToNearest(placed.view(), {nullptr, 0, shape().in}, shape().group);
  }

  testing::CpuMachine cpu_;
  std::unique_ptr<tensor::Backend> backend_;
  std::optional<KernelsOf> kernels_;
};

TEST_P(Packing, GivesTheSameBytesOnEveryMachine) {
  for (const model::LinearFormat* format : {&model::kAmtcFormat, &model::kAwqGemmFormat}) {
    const auto expected = PackCodes(Coded(cpu_.kernels, *cpu_.backend).matrix, *format);
    ASSERT_TRUE(expected.ok()) << expected.status().message();
    const auto packed = (*kernels_)->Pack(Coded(**kernels_, *backend_), *format);
    ASSERT_TRUE(packed.has_value());
    EXPECT_EQ(packed->sum, expected->sum);
    ASSERT_EQ(packed->parts.size(), expected->parts.size());
    for (std::size_t i = 0; i < packed->parts.size(); ++i) {
      EXPECT_EQ(packed->parts[i].key, expected->parts[i].key);
      EXPECT_EQ(packed->parts[i].bytes, expected->parts[i].bytes) << packed->parts[i].key;
    }
  }
}

TEST_P(Packing, GivesTheSameWeightsAsTheCodes) {
  CodedLinear coded = Coded(**kernels_, *backend_);
  const auto packed = (*kernels_)->Pack(coded, model::kAwqGemmFormat);
  ASSERT_TRUE(packed.has_value());
  (*kernels_)->FetchCodes(coded);
  EXPECT_EQ(SumOfCodes(coded.matrix), packed->sum);
  const auto unpacked = UnpackCodes(*packed);
  ASSERT_TRUE(unpacked.ok()) << unpacked.status().message();
  EXPECT_EQ(unpacked->q, coded.matrix.q);
  EXPECT_EQ(unpacked->zero, coded.matrix.zero);
  EXPECT_EQ(unpacked->scale, coded.matrix.scale);
  const Matrix weights = backend_->Fetch((*kernels_)->DecodePacked(*packed).view());
  const std::vector<float> expected = coded.matrix.Dequantize();
  ASSERT_EQ(static_cast<std::size_t>(weights.rows() * weights.columns()), expected.size());
  EXPECT_TRUE(std::ranges::equal(weights.numbers(), expected));
}

TEST_P(Packing, OfAnotherLayoutIsLeftToTheHostOrTheSame) {
  CodedLinear coded = Coded(**kernels_, *backend_);
  const auto packed = (*kernels_)->Pack(coded, model::kCompressedTensorsFormat);
  (*kernels_)->FetchCodes(coded);
  if (packed) {
    EXPECT_EQ(packed->sum, SumOfCodes(coded.matrix));
  }
  const auto on_host = PackCodes(coded.matrix, model::kCompressedTensorsFormat);
  ASSERT_TRUE(on_host.ok()) << on_host.status().message();
  const Matrix weights = backend_->Fetch((*kernels_)->DecodePacked(*on_host).view());
  EXPECT_TRUE(std::ranges::equal(weights.numbers(), coded.matrix.Dequantize()));
}

INSTANTIATE_TEST_SUITE_P(
    Machines, Packing,
    ::testing::Combine(::testing::Values("cpu", "cuda:0"),
                       ::testing::Values(Shape{8, 32, 32}, Shape{24, 96, 32}, Shape{136, 192, 64},
                                         Shape{1000, 640, 128}, Shape{264, 160, 160})));

TEST(PackingOnTheCpu, OfOutputsThatFillNoWordIsAnErrorOfTheHost) {
  testing::CpuMachine cpu;
  const Matrix weights = MadeMatrix("w", 12, 64);
  const CodedLinear coded = cpu.kernels.RoundToNearest(weights.view(), {nullptr, 0, 64}, 32);
  EXPECT_FALSE(cpu.kernels.Pack(coded, model::kAmtcFormat).has_value());
}

TEST(CodeSum, ChangesWithEveryNumberAndItsPlace) {
  model::QuantizedMatrix matrix{2, 8, 4, {}, {7, 8, 8, 9}, {15360, 15361, 15360, 15359}};
  matrix.q = {1, 2, 3, 4, 5, 6, 7, 8, 8, 7, 6, 5, 4, 3, 2, 1};
  const CodeSum sum = SumOfCodes(matrix);
  EXPECT_EQ(sum.Hex().size(), 32U);
  model::QuantizedMatrix swapped = matrix;
  std::swap_ranges(swapped.q.begin(), swapped.q.begin() + 8, swapped.q.begin() + 8);
  EXPECT_NE(SumOfCodes(swapped), sum);
  model::QuantizedMatrix other = matrix;
  other.q[15] ^= 1U;
  EXPECT_NE(SumOfCodes(other), sum);
  other = matrix;
  other.zero[3] = 8;
  EXPECT_NE(SumOfCodes(other), sum);
  other = matrix;
  std::swap(other.scale[0], other.scale[1]);
  EXPECT_NE(SumOfCodes(other), sum);
}

}  // namespace
}  // namespace tyllm::quant
