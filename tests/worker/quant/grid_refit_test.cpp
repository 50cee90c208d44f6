// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/grid_refit.h"

#include <gtest/gtest.h>

#include "common/format/float16.h"
#include "tests/worker/quant/made_statistics.h"

namespace tyllm::quant {
namespace {

constexpr std::int64_t kGroup = 16;

/// A group alone in its row: weights, codes and the Gram matrix of its inputs.
class RefittingAGrid : public ::testing::Test {
 protected:
  double Error(AffineGrid grid) const {
    double sum = 0.0;
    for (std::size_t i = 0; i < kGroup; ++i) {
      for (std::size_t j = 0; j < kGroup; ++j) {
        sum += ErrorOf(grid, i) * Gram(i, j) * ErrorOf(grid, j);
      }
    }
    return sum;
  }

  GroupProducts Products(AffineGrid grid) const {
    GroupProducts products;
    for (std::size_t i = 0; i < kGroup; ++i) {
      for (std::size_t j = 0; j < kGroup; ++j) {
        products.codes_codes += codes_[i] * Gram(i, j) * codes_[j];
        products.codes_ones += codes_[i] * Gram(i, j);
        products.ones_ones += Gram(i, j);
        products.codes_gradient += codes_[i] * Gram(i, j) * ErrorOf(grid, j);
        products.ones_gradient += Gram(i, j) * ErrorOf(grid, j);
      }
    }
    return products;
  }

  double Gram(std::size_t i, std::size_t j) const {
    return static_cast<double>(gram_.row(static_cast<std::int64_t>(i))[j]);
  }

  double ErrorOf(AffineGrid grid, std::size_t i) const {
    return (codes_[i] - static_cast<double>(grid.zero)) * static_cast<double>(grid.scale) -
           weights_[i];
  }

  tensor::Matrix gram_ = testing::StatisticsOf(testing::MadeInputs("inputs", 50, kGroup)).gram;
  std::vector<double> codes_ = {0, 3, 5, 9, 15, 7, 8, 2, 11, 6, 4, 13, 1, 10, 12, 14};
  std::vector<double> weights_ = std::vector<double>(kGroup);
};

TEST_F(RefittingAGrid, FindsTheGridThatTheWeightsLieOn) {
  const AffineGrid truth{0.125F, 6.0F};
  for (std::size_t i = 0; i < kGroup; ++i) {
    weights_[i] = (codes_[i] - 6.0) * 0.125;
  }
  for (const AffineGrid present : {AffineGrid{0.1F, 6.0F}, AffineGrid{0.15F, 9.0F}}) {
    EXPECT_EQ(RefitGrid(present, Products(present)), truth);
  }
  EXPECT_EQ(RefitGrid(truth, Products(truth)), truth);
}

TEST_F(RefittingAGrid, IsNoWorseThanAnyGridNearby) {
  for (std::size_t i = 0; i < kGroup; ++i) {
    weights_[i] = (codes_[i] - 6.4) * 0.11 + (i % 3 == 0 ? 0.04 : -0.03);
  }
  const AffineGrid present{0.1F, 6.0F};
  const AffineGrid best = RefitGrid(present, Products(present));
  EXPECT_EQ(best.scale, format::HalfToFloat(format::FloatToHalf(best.scale)));
  EXPECT_LT(Error(best), Error(present));
  for (int step = -20; step <= 20; ++step) {
    const float scale = best.scale * (1.0F + 0.01F * static_cast<float>(step));
    for (const float zero : {5.0F, 6.0F, 7.0F}) {
      EXPECT_LE(Error(best), Error({scale, zero}) * 1.001) << scale << " " << zero;
    }
  }
}

TEST_F(RefittingAGrid, KeepsTheZeroPointAmongTheCodes) {
  for (std::size_t i = 0; i < kGroup; ++i) {
    weights_[i] = codes_[i] * 0.1 + 5.0;  // far from 0: the best zero point is -50
  }
  const AffineGrid present{0.4F, 0.0F};
  const AffineGrid best = RefitGrid(present, Products(present));
  EXPECT_GE(best.zero, 0.0F);
  EXPECT_LE(Error(best), Error(present));
}

TEST_F(RefittingAGrid, KeepsTheGridOfInputsThatAreNeverUsed) {
  gram_ = tensor::Matrix(kGroup, kGroup);
  const AffineGrid present{0.4F, 3.0F};
  EXPECT_EQ(RefitGrid(present, Products(present)), present);
}

}  // namespace
}  // namespace tyllm::quant
