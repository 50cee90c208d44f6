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

constexpr std::int64_t kOut = 70;  // more than one tile of rows
constexpr std::int64_t kIn = 96;
constexpr std::int64_t kGroup = 32;

class Compensating : public ::testing::Test {
 protected:
  InputMetric Metric(std::int64_t group) {
    return MakeInputMetric(statistics_.gram, std::vector<float>(kIn, 1.0F), group, lanes_);
  }

  CodedLinear Compensate(GridChoice choice, std::int64_t group = kGroup) {
    return CompensateErrors(w_.view(), Metric(group), choice, lanes_);
  }

  Matrix x_ = MadeInputs("inputs", 200, kIn);
  Matrix w_ = MadeMatrix("weights", kOut, kIn);
  InputStatistics statistics_ = StatisticsOf(x_);
  tensor::TaskLanes lanes_{2};
};

TEST_F(Compensating, ReportsTheErrorsOfTheNumbersThatAreStored) {
  for (const GridChoice choice : {GridChoice::kMinMax, GridChoice::kSearched}) {
    const CodedLinear coded = Compensate(choice);
    for (std::int64_t r = 0; r < kOut; ++r) {
      const double expected = TrueError(x_, w_, coded, r);
      EXPECT_NEAR(coded.row_errors[static_cast<std::size_t>(r)], expected, 1e-3 * expected) << r;
    }
  }
}

TEST_F(Compensating, IsFarBetterThanRoundingAndThanSearchingRangesAlone) {
  const tensor::MatrixView gram = statistics_.gram.view();
  const double nearest = RoundToNearest(w_.view(), gram, kGroup, lanes_).error();
  const double ranges = SearchRanges(w_.view(), gram, kGroup, lanes_).error();
  const double compensated = Compensate(GridChoice::kSearched).error();
  EXPECT_LT(Compensate(GridChoice::kMinMax).error(), 0.8 * nearest);
  EXPECT_LT(compensated, 0.9 * ranges);
  EXPECT_LT(compensated, Compensate(GridChoice::kMinMax).error());
}

TEST_F(Compensating, IsNeverWorseThanRoundToNearestRowByRow) {
  const CodedLinear nearest = RoundToNearest(w_.view(), statistics_.gram.view(), kGroup, lanes_);
  const CodedLinear coded = Compensate(GridChoice::kSearched);
  for (std::size_t r = 0; r < nearest.row_errors.size(); ++r) {
    EXPECT_LE(coded.row_errors[r], nearest.row_errors[r] * (1.0 + 1e-6)) << r;
  }
}

TEST_F(Compensating, DoesNotDependOnTheNumberOfThreads) {
  const CodedLinear two = Compensate(GridChoice::kSearched);
  for (const int threads : {1, 3}) {
    tensor::TaskLanes lanes(threads);
    const InputMetric metric =
        MakeInputMetric(statistics_.gram, std::vector<float>(kIn, 1.0F), kGroup, lanes);
    const CodedLinear other = CompensateErrors(w_.view(), metric, GridChoice::kSearched, lanes);
    EXPECT_EQ(other.matrix.q, two.matrix.q);
    EXPECT_EQ(other.matrix.zero, two.matrix.zero);
    EXPECT_EQ(other.matrix.scale, two.matrix.scale);
    EXPECT_EQ(other.row_errors, two.row_errors);
  }
}

TEST_F(Compensating, KeepsRowsThatNeedNothing) {
  std::fill_n(w_.data(), kIn, 0.0F);             // a dead output
  std::fill_n(w_.data() + kIn, kIn, 0.25F);      // a constant one
  std::fill_n(w_.data() + 2 * kIn, kIn, 3e-7F);  // one near fp16's smallest numbers
  const CodedLinear coded = Compensate(GridChoice::kSearched);
  EXPECT_EQ(coded.row_errors[0], 0.0);
  const std::vector<double> energy = RowErrors(w_.view(), statistics_.gram.view(), lanes_);
  EXPECT_LT(TrueError(x_, w_, coded, 1), 1e-6 * energy[1]);
  EXPECT_LT(TrueError(x_, w_, coded, 2), 0.05 * energy[2]);
}

TEST_F(Compensating, WorksWithOneGroupARowAndWithInputsThatAreNeverUsed) {
  for (std::int64_t t = 0; t < x_.rows(); ++t) {
    std::fill_n(x_.row(t).begin(), 40, 0.0F);
  }
  statistics_ = StatisticsOf(x_);
  for (const std::int64_t group : {kIn, kGroup}) {
    const double nearest =
        RoundToNearest(w_.view(), statistics_.gram.view(), group, lanes_).error();
    EXPECT_LT(Compensate(GridChoice::kSearched, group).error(), nearest);
  }
}

}  // namespace
}  // namespace tyllm::quant
