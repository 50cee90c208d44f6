// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/input_metric.h"

#include <gtest/gtest.h>

#include "tests/worker/quant/made_statistics.h"

namespace tyllm::quant {
namespace {

using tensor::Matrix;

constexpr std::int64_t kIn = 320;
constexpr std::int64_t kGroup = 32;

std::vector<float> Ones(std::int64_t n) {
  return std::vector<float>(static_cast<std::size_t>(n), 1.0F);
}

/// Entry (i, j) of (I + F) diag(cost) (I + F)^T.
double Product(const InputMetric& metric, std::int64_t i, std::int64_t j) {
  double sum = 0.0;
  for (std::int64_t k = std::max(i, j); k < metric.width(); ++k) {
    const auto at = static_cast<std::size_t>(k);
    const double a = i == k ? 1.0 : static_cast<double>(metric.feedback.row(i)[at]);
    const double b = j == k ? 1.0 : static_cast<double>(metric.feedback.row(j)[at]);
    sum += a * b * static_cast<double>(metric.cost[at]);
  }
  return sum;
}

class MakingAMetric : public ::testing::Test {
 protected:
  Matrix gram_ = testing::StatisticsOf(testing::MadeInputs("inputs", 500, kIn)).gram;
  tensor::TaskLanes lanes_{2};
};

TEST_F(MakingAMetric, FactorsTheGramMatrixWithDamping) {
  const InputMetric metric = MakeInputMetric(gram_, Ones(kIn), kGroup, lanes_);
  double mean = 0.0;
  for (std::int64_t c = 0; c < kIn; ++c) {
    mean += static_cast<double>(gram_.row(c)[static_cast<std::size_t>(c)]) / kIn;
  }
  for (std::int64_t i = 0; i < kIn; i += 3) {
    for (std::int64_t j = i; j < kIn; j += 7) {
      const double expected = static_cast<double>(metric.gram.row(i)[static_cast<std::size_t>(j)]) +
                              (i == j ? 0.01 * mean : 0.0);
      EXPECT_NEAR(Product(metric, i, j), expected, 1e-4 * mean) << i << " " << j;
    }
  }
}

TEST_F(MakingAMetric, KeepsGroupsTogetherAndTreatsStrongInputsFirst) {
  const InputMetric metric = MakeInputMetric(gram_, Ones(kIn), kGroup, lanes_);
  std::vector<bool> seen(kIn);
  for (std::size_t i = 0; i < kIn; ++i) {
    const std::int64_t column = metric.columns[i];
    EXPECT_EQ(column / kGroup, metric.columns[i / kGroup * kGroup] / kGroup);
    seen[static_cast<std::size_t>(column)] = true;
    if (i % kGroup > 0) {
      EXPECT_LE(metric.gram.row(static_cast<std::int64_t>(i))[i],
                metric.gram.row(static_cast<std::int64_t>(i) - 1)[i - 1]);
    }
  }
  EXPECT_TRUE(std::ranges::all_of(seen, std::identity()));
}

TEST_F(MakingAMetric, DividesTheInputsByTheScales) {
  std::vector<float> scales = Ones(kIn);
  scales[7] = 4.0F;
  const InputMetric metric = MakeInputMetric(gram_, scales, kGroup, lanes_);
  const auto at =
      static_cast<std::size_t>(std::ranges::find(metric.columns, 7) - metric.columns.begin());
  EXPECT_FLOAT_EQ(metric.gram.row(static_cast<std::int64_t>(at))[at], gram_.row(7)[7] / 16.0F);
}

// Fewer tokens than columns, dead columns, none alive at all.
TEST_F(MakingAMetric, CopesWithGramMatricesThatHaveNoInverse) {
  Matrix few = testing::StatisticsOf(testing::MadeInputs("few", 10, kIn)).gram;
  for (std::int64_t c = 0; c < kIn; ++c) {
    few.row(5)[static_cast<std::size_t>(c)] = 0.0F;
    few.row(c)[5] = 0.0F;
  }
  for (const Matrix& gram : {few, Matrix(kIn, kIn)}) {
    const InputMetric metric = MakeInputMetric(gram, Ones(kIn), kGroup, lanes_);
    for (std::int64_t k = 0; k < kIn; ++k) {
      EXPECT_GT(metric.cost[static_cast<std::size_t>(k)], 0.0F);
      for (std::int64_t j = k + 1; j < kIn; ++j) {
        EXPECT_TRUE(std::isfinite(metric.feedback.row(k)[static_cast<std::size_t>(j)]));
      }
    }
  }
}

}  // namespace
}  // namespace tyllm::quant
