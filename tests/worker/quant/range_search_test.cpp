// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tests/worker/quant/made_statistics.h"
#include "tests/worker/quant/true_error.h"
#include "worker/quant/coded_linear.h"

namespace tyllm::quant {
namespace {

using tensor::Matrix;
using testing::MadeInputs;
using testing::MadeMatrix;
using testing::StatisticsOf;
using testing::TrueError;

constexpr std::int64_t kOut = 40;
constexpr std::int64_t kIn = 96;
constexpr std::int64_t kGroup = 32;

class RangeSearch : public ::testing::Test {
 protected:
  Matrix x_ = MadeInputs("inputs", 200, kIn);
  Matrix w_ = MadeMatrix("weights", kOut, kIn);
  InputStatistics statistics_ = StatisticsOf(x_);
  tensor::TaskLanes lanes_{2};
};

TEST_F(RangeSearch, ReportsTheErrorsOfTheNumbersThatAreStored) {
  for (const auto code : {RoundToNearest, SearchRanges}) {
    const CodedLinear coded = code(w_.view(), statistics_.gram.view(), kGroup, lanes_);
    for (std::int64_t r = 0; r < kOut; ++r) {
      const double expected = TrueError(x_, w_, coded, r);
      EXPECT_NEAR(coded.row_errors[static_cast<std::size_t>(r)], expected, 1e-3 * expected) << r;
    }
  }
}

TEST_F(RangeSearch, IsNeverWorseThanRoundToNearestRowByRow) {
  const CodedLinear nearest = RoundToNearest(w_.view(), statistics_.gram.view(), kGroup, lanes_);
  const CodedLinear searched = SearchRanges(w_.view(), statistics_.gram.view(), kGroup, lanes_);
  for (std::size_t r = 0; r < nearest.row_errors.size(); ++r) {
    EXPECT_LE(searched.row_errors[r], nearest.row_errors[r]) << r;
  }
  EXPECT_LT(searched.error(), 0.8 * nearest.error());
  EXPECT_GT(searched.clipped_groups, 0);
}

TEST_F(RangeSearch, DoesNotDependOnTheNumberOfThreads) {
  const CodedLinear two = SearchRanges(w_.view(), statistics_.gram.view(), kGroup, lanes_);
  for (const int threads : {1, 3}) {
    tensor::TaskLanes lanes(threads);
    const CodedLinear other = SearchRanges(w_.view(), statistics_.gram.view(), kGroup, lanes);
    EXPECT_EQ(other.matrix.q, two.matrix.q);
    EXPECT_EQ(other.matrix.zero, two.matrix.zero);
    EXPECT_EQ(other.matrix.scale, two.matrix.scale);
    EXPECT_EQ(other.row_errors, two.row_errors);
  }
}

TEST_F(RangeSearch, KeepsRowsThatNeedNothing) {
  std::fill_n(w_.data(), kIn, 0.0F);             // a dead output
  std::fill_n(w_.data() + kIn, kIn, 0.25F);      // a constant one
  std::fill_n(w_.data() + 2 * kIn, kIn, 3e-7F);  // one near fp16's smallest numbers
  const CodedLinear coded = SearchRanges(w_.view(), statistics_.gram.view(), kGroup, lanes_);
  EXPECT_EQ(coded.row_errors[0], 0.0);
  const double energy = RowErrors(w_.view(), statistics_.gram.view(), lanes_)[1];
  EXPECT_LT(TrueError(x_, w_, coded, 1), 1e-6 * energy);
  const std::vector<float> stored = coded.matrix.Dequantize();
  for (std::size_t c = 2 * kIn; c < 3 * kIn; ++c) {
    EXPECT_NEAR(stored[c], 3e-7F, 0.6e-7F);
  }
}

TEST_F(RangeSearch, WorksWithOneGroupARow) {
  const CodedLinear nearest = RoundToNearest(w_.view(), statistics_.gram.view(), kIn, lanes_);
  const CodedLinear searched = SearchRanges(w_.view(), statistics_.gram.view(), kIn, lanes_);
  EXPECT_LT(searched.error(), nearest.error());
}

TEST(RoundToNearest, WithoutAGramMatrixMeasuresTheWeights) {
  const Matrix w = MadeMatrix("weights", 3, kIn);
  tensor::TaskLanes lanes(1);
  const CodedLinear coded = RoundToNearest(w.view(), {nullptr, 0, kIn}, kGroup, lanes);
  const std::vector<float> stored = coded.matrix.Dequantize();
  double sum = 0.0;
  for (std::size_t i = 0; i < stored.size(); ++i) {
    sum += (stored[i] - w.data()[i]) * (stored[i] - w.data()[i]);
  }
  EXPECT_NEAR(coded.error(), sum, 1e-4 * sum);
}

}  // namespace
}  // namespace tyllm::quant
