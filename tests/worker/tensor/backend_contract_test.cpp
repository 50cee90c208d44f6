// SPDX-License-Identifier: Apache-2.0
// Every operation of every back end that this machine has, against plain double precision.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <tuple>

#include "tests/worker/tensor/reference_ops.h"

namespace tyllm::tensor {
namespace {

using testing::ExpectNear;
using testing::Numbers;
using testing::RandomMatrix;

class BackendContract : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    auto made = testing::MakeNamed(GetParam(), 2);
    if (GetParam() != "cpu" && !made.ok()) {
      GTEST_SKIP() << made.status().message();
    }
    ASSERT_TRUE(made.ok()) << made.status().ToString();
    backend_ = *std::move(made);
  }

  Matrix Host(const Matrix& matrix) const { return backend_->Fetch(matrix.view()); }

  std::unique_ptr<Backend> backend_;
};

TEST_P(BackendContract, PlacedMatricesAreWhatTheyWere) {
  const Matrix x = RandomMatrix(7, 33, 1);
  const Matrix placed = backend_->Place(Matrix(x));
  Matrix copied;
  backend_->Copy(placed.rows(2, 3), copied);
  const Matrix middle = Host(copied);
  ASSERT_EQ(middle.rows(), 3);
  Matrix grown;
  backend_->AppendRows(x.rows(0, 2), grown);
  backend_->AppendRows(placed.rows(2, 5), grown);
  ASSERT_EQ(grown.rows(), 7);
  const Matrix whole = Host(grown);
  for (std::int64_t i = 0; i < 7 * 33; ++i) {
    ASSERT_EQ(whole.data()[i], x.data()[i]);
    ASSERT_TRUE(i >= 3 * 33 || middle.data()[i] == x.data()[2 * 33 + i]);
  }
}

TEST_P(BackendContract, FreeMemoryIsToldWhereThereIsSome) {
  EXPECT_EQ(backend_->free_device_bytes() > 0, backend_->has_own_memory());
}

TEST_P(BackendContract, ZerosAreZeros) {
  const Matrix zeros = backend_->Zeros(5, 1001);
  EXPECT_EQ(zeros.on_device(), backend_->has_own_memory());
  ExpectNear(Host(zeros), Numbers(5 * 1001, 0.0), 0.0, 0.0);
}

TEST_P(BackendContract, EncodedNumbersAreDecodedExactly) {
  const std::vector<std::uint16_t> halves = {0x3c00, 0xc100, 0x0001, 0x7bff, 0x0000, 0x8000};
  const std::vector<float> of_half = {1.0F, -2.5F, 0x1p-24F, 65504.0F, 0.0F, -0.0F};
  const std::vector<std::uint16_t> bfloats = {0x3f80, 0xc020, 0x0001, 0x7f7f, 0x0000, 0x8000};
  const std::vector<float> of_bfloat = {1.0F, -2.5F, 0x1p-133F, 0x1.fep127F, 0.0F, -0.0F};
  for (const auto& [format, encoded, numbers] :
       {std::tuple{NumberFormat::kFloat16, halves, of_half},
        {NumberFormat::kBFloat16, bfloats, of_bfloat}}) {
    const auto placed = backend_->PlaceEncoded(format, std::as_bytes(std::span(encoded)), 2, 3);
    if (!placed) {
      GTEST_SKIP() << GetParam() << " leaves decoding to its caller";
    }
    const Matrix found = Host(*placed);
    EXPECT_EQ(std::vector<float>(found.data(), found.data() + 6), numbers);
  }
}

TEST_P(BackendContract, PickTakesOneNumberOfEachRow) {
  const Matrix x = RandomMatrix(4, 50, 23);
  const std::vector<std::int32_t> columns = {49, 0, 7, 7};
  std::vector<float> out(4);
  backend_->Pick(x.view(), columns, out);
  for (std::size_t r = 0; r < 4; ++r) {
    EXPECT_EQ(out[r], x.row(static_cast<std::int64_t>(r))[static_cast<std::size_t>(columns[r])]);
  }
}

TEST_P(BackendContract, EmbedCopiesRows) {
  const Matrix table = RandomMatrix(11, 37, 1);
  const std::vector<std::int32_t> ids = {10, 0, 3, 3, 7};
  Matrix out;
  backend_->Embed(table.view(), ids, out);
  ASSERT_EQ(out.rows(), 5);
  ASSERT_EQ(out.columns(), 37);
  out = Host(out);
  for (std::size_t r = 0; r < ids.size(); ++r) {
    for (std::size_t c = 0; c < 37; ++c) {
      EXPECT_EQ(out.row(static_cast<std::int64_t>(r))[c], table.row(ids[r])[c]);
    }
  }
}

TEST_P(BackendContract, LinearIsAProductWithTheTransposedWeights) {
  struct Case {
    std::int64_t rows, in, out;
  };

  // One row, few rows, odd sizes, and tiles with a remainder in both directions.
  for (const Case c : {Case{1, 64, 32}, Case{1, 129, 515}, Case{3, 7, 5}, Case{17, 96, 131},
                       Case{33, 31, 513}, Case{300, 65, 140}, Case{257, 40, 1030}}) {
    const Matrix x = RandomMatrix(c.rows, c.in, 2);
    const Matrix w = RandomMatrix(c.out, c.in, 3);
    const Matrix bias = RandomMatrix(1, c.out, 4);
    Matrix out = RandomMatrix(2, 3, 5);
    backend_->Linear(x.view(), w.view(), {}, out);
    ExpectNear(Host(out), testing::ReferenceLinear(x.view(), w.view(), {}), 6e-5, 1e-6);
    backend_->Linear(x.view(), w.view(), bias.row(0), out);
    ExpectNear(Host(out), testing::ReferenceLinear(x.view(), w.view(), bias.row(0)), 6e-5, 1e-6);
  }
}

TEST_P(BackendContract, GramMatricesAddUpAndAreSymmetric) {
  for (const auto& [rows, width] : {std::pair{5, 3}, {64, 128}, {77, 131}, {200, 300}, {9, 1100}}) {
    const Matrix x = RandomMatrix(rows, width, 6);
    const Matrix y = RandomMatrix(rows + 1, width, 7);
    Matrix gram(width, width);
    backend_->AccumulateGram(x.view(), gram);
    const Matrix first = Host(gram);
    backend_->AccumulateGram(y.view(), gram);
    ExpectNear(Host(gram), testing::ReferenceGram(y.view(), first), 1e-4, 1e-6);
    gram = Host(gram);
    for (std::int64_t i = 0; i < width; ++i) {
      for (std::int64_t j = 0; j < i; ++j) {
        ASSERT_EQ(gram.row(i)[static_cast<std::size_t>(j)],
                  gram.row(j)[static_cast<std::size_t>(i)]);
      }
    }
  }
}

TEST_P(BackendContract, RmsNormOverRowsAndOverHeads) {
  for (const auto& [columns, run] : {std::pair{64, 64}, {37, 37}, {96, 32}, {21, 7}, {1, 1}}) {
    Matrix x = RandomMatrix(19, columns, 8, 3.0F);
    const Matrix weight = RandomMatrix(1, run, 9);
    const Numbers expected = testing::ReferenceRmsNorm(x.view(), weight.row(0), 1e-6F);
    Matrix out;
    backend_->RmsNorm(x.view(), weight.row(0), 1e-6F, out);
    ExpectNear(Host(out), expected, 1e-6, 1e-6);
    backend_->RmsNorm(x.view(), weight.row(0), 1e-6F, x);
    ExpectNear(Host(x), expected, 1e-6, 1e-6);
  }
}

TEST_P(BackendContract, RmsNormOfZerosIsZero) {
  const Matrix x(2, 40);
  const Matrix weight = RandomMatrix(1, 40, 10);
  Matrix out;
  backend_->RmsNorm(x.view(), weight.row(0), 1e-6F, out);
  ExpectNear(Host(out), Numbers(80, 0.0), 0.0, 0.0);
}

TEST_P(BackendContract, RopeRotatesHalvesByThePosition) {
  for (const std::int64_t head_size : {2, 6, 32, 64}) {
    std::vector<float> frequencies;
    for (std::int64_t i = 0; i < head_size / 2; ++i) {
      frequencies.push_back(
          std::pow(10000.0F, -2.0F * static_cast<float>(i) / static_cast<float>(head_size)));
    }
    // Positions that repeat (a batch) and far ones (decoding).
    for (const std::vector<std::int32_t>& positions :
         {std::vector<std::int32_t>{0, 1, 2, 3, 0, 1, 2, 3}, {4000}, {30000, 5, 131071}}) {
      Matrix x = RandomMatrix(static_cast<std::int64_t>(positions.size()), 3 * head_size, 11);
      const Numbers expected = testing::ReferenceRope(x.view(), positions, frequencies, head_size);
      backend_->Rope(x, positions, frequencies, head_size);
      ExpectNear(Host(x), expected, 1e-6, 1e-6);
    }
  }
}

TEST_P(BackendContract, AttentionIsCausalWithinEachSequence) {
  for (const AttentionShape& shape :
       {AttentionShape{1, 1, 0, 1, 1, 4}, AttentionShape{2, 5, 0, 4, 2, 8},
        AttentionShape{3, 33, 0, 6, 3, 10}, AttentionShape{1, 300, 0, 2, 1, 16},
        AttentionShape{2, 128, 0, 3, 3, 7}, AttentionShape{1, 1, 41, 4, 2, 8},
        AttentionShape{2, 3, 17, 4, 1, 12}, AttentionShape{1, 130, 9, 2, 2, 8}}) {
    const std::int64_t keys = shape.sequences * (shape.history + shape.length);
    const Matrix q =
        RandomMatrix(shape.sequences * shape.length, shape.heads * shape.head_size, 12, 4.0F);
    const Matrix k = RandomMatrix(keys, shape.kv_heads * shape.head_size, 13, 4.0F);
    const Matrix v = RandomMatrix(keys, shape.kv_heads * shape.head_size, 14);
    Matrix out;
    backend_->Attention(shape, q.view(), k.view(), v.view(), out);
    ASSERT_EQ(out.columns(), q.columns());
    ExpectNear(Host(out), testing::ReferenceAttention(shape, q.view(), k.view(), v.view()), 5e-6,
               1e-5);
  }
}

TEST_P(BackendContract, SiluMulAlsoFarFromZero) {
  for (const std::int64_t columns : {1, 7, 64, 1001}) {
    Matrix gate = RandomMatrix(13, columns, 15, 120.0F);
    const Matrix up = RandomMatrix(13, columns, 16);
    const Numbers expected = testing::ReferenceSiluMul(gate.view(), up.view());
    Matrix out;
    backend_->SiluMul(gate.view(), up.view(), out);
    ExpectNear(Host(out), expected, 1e-7, 1e-6);
    backend_->SiluMul(gate.view(), up.view(), gate);
    ExpectNear(Host(gate), expected, 1e-7, 1e-6);
  }
}

TEST_P(BackendContract, AddMayWriteOverItsInput) {
  Matrix a = RandomMatrix(301, 117, 17);
  const Matrix b = RandomMatrix(301, 117, 18);
  Numbers expected;
  for (std::int64_t i = 0; i < 301 * 117; ++i) {
    expected.push_back(static_cast<double>(a.data()[i]) + static_cast<double>(b.data()[i]));
  }
  Matrix out;
  backend_->Add(a.view(), b.view(), out);
  ExpectNear(Host(out), expected, 1e-6, 0.0);
  backend_->Add(a.view(), b.view(), a);
  ExpectNear(Host(a), expected, 1e-6, 0.0);
}

TEST_P(BackendContract, LogSumExpOfShortAndVocabularyLongRows) {
  for (const std::int64_t columns : {1, 5, 1024, 1025, 40001}) {
    const Matrix x = RandomMatrix(7, columns, 19, 30.0F);
    std::vector<double> out(7);
    backend_->LogSumExp(x.view(), out);
    const Numbers expected = testing::ReferenceLogSumExp(x.view());
    for (std::size_t r = 0; r < out.size(); ++r) {
      EXPECT_NEAR(out[r], expected[r], 1e-5) << columns;
    }
  }
}

TEST_P(BackendContract, ArgMaxTakesTheFirstOfEquals) {
  for (const std::int64_t columns : {1, 3, 8, 29, 5000}) {
    Matrix x = RandomMatrix(3, columns, 20);
    std::vector<std::int32_t> out(3);
    backend_->ArgMax(x.view(), out);
    for (std::int64_t r = 0; r < 3; ++r) {
      const auto row = x.row(r);
      EXPECT_EQ(out[static_cast<std::size_t>(r)], std::ranges::max_element(row) - row.begin());
    }
    std::ranges::fill(x.row(1), -2.0F);
    x.row(2).back() = 5.0F;
    backend_->ArgMax(x.view(), out);
    EXPECT_EQ(out[1], 0);
    EXPECT_EQ(out[2], columns - 1);
  }
}

TEST_P(BackendContract, ArgMaxOfNotANumberIsStillAColumn) {
  Matrix x(1, 12);
  std::ranges::fill(x.row(0), std::nanf(""));
  std::vector<std::int32_t> out = {99};
  backend_->ArgMax(x.view(), out);
  EXPECT_GE(out[0], 0);
  EXPECT_LT(out[0], 12);
}

TEST_P(BackendContract, KlDivergenceOfLogits) {
  for (const std::int64_t columns : {1, 6, 1030, 20000}) {
    const Matrix p = RandomMatrix(5, columns, 21, 8.0F);
    Matrix q = RandomMatrix(5, columns, 22, 0.5F);
    backend_->Add(p.view(), q.view(), q);
    q = Host(q);
    std::vector<double> out(5);
    backend_->KlDivergence(p.view(), q.view(), out);
    const Numbers expected = testing::ReferenceKlDivergence(p.view(), q.view());
    for (std::size_t r = 0; r < out.size(); ++r) {
      EXPECT_NEAR(out[r], expected[r], 2e-6) << columns;
    }
    backend_->KlDivergence(p.view(), p.view(), out);
    EXPECT_EQ(out, std::vector<double>(5, 0.0));
  }
}

/// The first device of each kind of back end; those that are not there are skipped.
std::vector<std::string> DevicesToTest() {
  std::vector<std::string> devices{"steady"};
  for (const BackendKind& kind : BackendKinds()) {
    devices.push_back(std::string(kind.name) + (kind.numbered ? ":0" : ""));
  }
  return devices;
}

INSTANTIATE_TEST_SUITE_P(Backends, BackendContract, ::testing::ValuesIn(DevicesToTest()),
                         [](const auto& instance) {
                           return instance.param.substr(0, instance.param.find(':'));
                         });

}  // namespace
}  // namespace tyllm::tensor
