// SPDX-License-Identifier: Apache-2.0
#include "worker/model/awq_gemm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/format/float16.h"
#include "tests/support/model_directory.h"
#include "tests/support/paths.h"

namespace tyllm::model {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// One input, eight outputs: one word.
QuantizedMatrix Word(std::vector<std::uint8_t> outputs) {
  return {
      8, 1, 1, {outputs.begin(), outputs.end()}, outputs, std::vector<std::uint16_t>(8, 0x3c00)};
}

// The order of AutoAWQ's packing (docs/formats/checkpoints.md).
TEST(AwqGemm, WordsAreThoseOfAutoAwq) {
  const auto counting = PackAwqGemm(Word({0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_THAT(counting->qweight, ElementsAre(0x75316420U));
  EXPECT_THAT(counting->qzeros, ElementsAre(0x75316420U));
  const auto mixed = PackAwqGemm(Word({15, 0, 8, 7, 1, 14, 3, 12}));
  EXPECT_THAT(mixed->qweight, ElementsAre(0xCE70318FU));
}

TEST(AwqGemm, IsTransposedWithInputsAsRows) {
  QuantizedMatrix matrix{8,
                         4,
                         2,
                         RawVector<std::uint8_t>(32, 0),
                         std::vector<std::uint8_t>(16, 0),
                         std::vector<std::uint16_t>(16, 0)};
  matrix.q[1 * 4 + 3] = 15;      // output 1, input 3
  matrix.zero[2 * 2 + 1] = 7;    // output 2, second group
  matrix.scale[5 * 2 + 0] = 99;  // output 5, first group
  const auto packed = PackAwqGemm(matrix);
  EXPECT_THAT(packed->qweight, ElementsAre(0, 0, 0, 0x000F0000U));
  EXPECT_THAT(packed->qzeros, ElementsAre(0, 0x00000070U));
  EXPECT_EQ(packed->scales[5], 99);
}

TEST(AwqGemm, UnpackingUndoesPackingForEveryKindOfShape) {
  struct Shape {
    std::int64_t out, in, group;
  };

  for (const Shape s : {Shape{8, 1, 1}, Shape{16, 128, 128}, Shape{136, 192, 64},
                        Shape{256, 96, 32}, Shape{8, 70, 35}, Shape{1024, 64, 16}}) {
    const QuantizedMatrix matrix = testing::MadeQuantized("m", s.out, s.in, s.group);
    const auto packed = PackAwqGemm(matrix);
    ASSERT_TRUE(packed.ok()) << packed.status().ToString();
    const auto back = UnpackAwqGemm(
        s.out, s.in, s.group,
        {std::as_bytes(std::span(packed->qweight)), std::as_bytes(std::span(packed->qzeros)),
         std::as_bytes(std::span(packed->scales))});
    ASSERT_TRUE(back.ok()) << back.status().ToString();
    EXPECT_EQ(back->q, matrix.q);
    EXPECT_EQ(back->zero, matrix.zero);
    EXPECT_EQ(back->scale, matrix.scale);
    EXPECT_EQ(back->group, matrix.group);
  }
}

TEST(AwqGemm, ShapesThatCannotBePackedAreRefused) {
  EXPECT_THAT(CheckAwqGemmShape(12, 128, 128).message(), HasSubstr("12 outputs"));
  EXPECT_THAT(CheckAwqGemmShape(16, 100, 64).message(),
              HasSubstr("group size 64 does not divide the 100 inputs"));
  EXPECT_FALSE(CheckAwqGemmShape(16, 128, 0).ok());
  EXPECT_FALSE(CheckAwqGemmShape(0, 128, 128).ok());
  EXPECT_TRUE(CheckAwqGemmShape(16, 128, 64).ok());
}

TEST(AwqGemm, PartsOfTheWrongSizeAreRefused) {
  const std::vector<std::byte> bytes(64);
  const AwqGemmBytes good{std::span(bytes).first(32), std::span(bytes).first(8),
                          std::span(bytes).first(32)};
  ASSERT_TRUE(UnpackAwqGemm(8, 8, 4, good).ok());
  AwqGemmBytes bad = good;
  bad.qweight = std::span(bytes).first(28);
  EXPECT_THAT(UnpackAwqGemm(8, 8, 4, bad).status().message(), HasSubstr("28 bytes, expected 32"));
  bad = good;
  bad.qzeros = {};
  EXPECT_FALSE(UnpackAwqGemm(8, 8, 4, bad).ok());
  bad = good;
  bad.scales = std::span(bytes).first(31);
  EXPECT_FALSE(UnpackAwqGemm(8, 8, 4, bad).ok());
}

// Wrong nibble orders or zero points give errors of 50 % and more.
TEST(AwqGemm, ReadsWhatAutoAwqWrote) {
  const auto file = format::SafetensorsFile::Open(Path(testing::kTestData) / "awq" /
                                                  "autoawq_o_proj.safetensors");
  ASSERT_TRUE(file.ok()) << file.status().ToString();
  const auto& tensors = file->tensors();
  const auto matrix = UnpackAwqGemm(
      32, 512, 128,
      {tensors.at("qweight").bytes, tensors.at("qzeros").bytes, tensors.at("scales").bytes});
  ASSERT_TRUE(matrix.ok()) << matrix.status().ToString();
  const std::vector<float> found = matrix->Dequantize();
  const std::vector<float> expected = *format::ToFloats("weight", tensors.at("weight"));
  double error = 0.0;
  double norm = 0.0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    error += std::pow(double{found[i]} - double{expected[i]}, 2);
    norm += std::pow(double{expected[i]}, 2);
  }
  EXPECT_LT(std::sqrt(error / norm), 0.12);
}

TEST(QuantizedMatrix, DequantizesToExactProducts) {
  const QuantizedMatrix matrix = testing::MadeQuantized("m", 16, 96, 32);
  const std::vector<float> values = matrix.Dequantize();
  ASSERT_EQ(values.size(), 16U * 96U);
  for (std::size_t r = 0; r < 16; ++r) {
    for (std::size_t c = 0; c < 96; ++c) {
      const std::size_t g = r * 3 + c / 32;
      const double exact = (double{matrix.q[r * 96 + c] * 1.0} - matrix.zero[g]) *
                           double{format::HalfToFloat(matrix.scale[g])};
      ASSERT_EQ(values[r * 96 + c], exact);
    }
  }
}

}  // namespace
}  // namespace tyllm::model
