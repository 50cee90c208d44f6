// SPDX-License-Identifier: Apache-2.0
// The kernels of a GPU against the CPU's: the same integers up to ties.
#include "worker/quant/layer_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/worker/quant/cpu_machine.h"
#include "tests/worker/quant/made_statistics.h"

namespace tyllm::quant {
namespace {

using tensor::Matrix;
using testing::MadeInputs;
using testing::MadeMatrix;

constexpr std::int64_t kIn = 512;
constexpr std::int64_t kOut = 300;

/// Shares of codes and of grids that differ.
double DifferingCodes(const CodedLinear& a, const CodedLinear& b) {
  std::int64_t differing = 0;
  for (std::size_t i = 0; i < a.matrix.q.size(); ++i) {
    differing += a.matrix.q[i] != b.matrix.q[i] ? 1 : 0;
  }
  return static_cast<double>(differing) / static_cast<double>(a.matrix.q.size());
}

/// Each group's share of the error, and how many weights are beyond their grids.
void ExpectSameFacts(const CodedLinear& found, const CodedLinear& expected, double tolerance) {
  ASSERT_EQ(found.facts.group_errors.size(), expected.facts.group_errors.size());
  for (std::size_t g = 0; g < expected.facts.group_errors.size(); ++g) {
    EXPECT_NEAR(found.facts.group_errors[g], expected.facts.group_errors[g],
                tolerance * expected.facts.group_errors[g])
        << g;
  }
  const auto saturated = static_cast<double>(expected.facts.saturated);
  EXPECT_NEAR(static_cast<double>(found.facts.saturated), saturated, 0.02 * saturated + 1.0);
}

/// Equal up to `relative` of the largest number.
void ExpectNear(const Matrix& found, const Matrix& expected, double relative) {
  ASSERT_EQ(found.rows(), expected.rows());
  const auto count = static_cast<std::size_t>(expected.rows() * expected.columns());
  double largest = 0.0;
  for (std::size_t i = 0; i < count; ++i) {
    largest = std::max<double>(largest, std::fabs(expected.data()[i]));
  }
  for (std::size_t i = 0; i < count; ++i) {
    ASSERT_NEAR(found.data()[i], expected.data()[i], relative * largest) << i;
  }
}

class GpuKernels : public ::testing::TestWithParam<std::int64_t> {
 protected:
  void SetUp() override {
    auto made = tensor::MakeBackend("cuda:0");
    if (!made.ok()) {
      GTEST_SKIP() << made.status().message();
    }
    backend_ = *std::move(made);
    kernels_ = dynamic_cast<LayerKernels*>(backend_.get());
    ASSERT_NE(kernels_, nullptr);
    gram_ = backend_->Place(Matrix(statistics_.gram));
    placed_ = backend_->Place(Matrix(w_));
    for (std::int64_t c = 0; c < kIn; ++c) {
      scales_.push_back(std::exp(0.1F * static_cast<float>(c % 9 - 4)));
    }
  }

  std::int64_t group() const { return GetParam(); }

  CodedLinear OnHost(CodedLinear coded) {
    kernels_->FetchCodes(coded);
    return coded;
  }

  /// What a coded layer says of itself is true of its integers.
  void ExpectTrueErrors(const CodedLinear& coded, const Matrix& gram) {
    Matrix difference(kOut, kIn, coded.matrix.Dequantize());
    for (std::int64_t i = 0; i < kOut * kIn; ++i) {
      difference.data()[i] -= w_.data()[i];
    }
    const auto errors = cpu_.kernels.RowErrors(difference.view(), gram.view());
    for (std::size_t r = 0; r < errors.size(); ++r) {
      EXPECT_NEAR(coded.row_errors[r], errors[r], 1e-3 * errors[r]) << r;
    }
  }

  const InputStatistics statistics_ = testing::StatisticsOf(MadeInputs("x", 700, kIn));
  const Matrix w_ = MadeMatrix("w", kOut, kIn);
  testing::CpuMachine cpu_;
  std::unique_ptr<tensor::Backend> backend_;
  LayerKernels* kernels_ = nullptr;
  Matrix gram_;
  Matrix placed_;
  std::vector<float> scales_;
};

TEST_P(GpuKernels, RoundToNearestIsTheSameBitByBit) {
  const CodedLinear expected =
      cpu_.kernels.RoundToNearest(w_.view(), statistics_.gram.view(), group());
  const CodedLinear found = OnHost(kernels_->RoundToNearest(placed_.view(), gram_.view(), group()));
  EXPECT_EQ(found.matrix.q, expected.matrix.q);
  EXPECT_EQ(found.matrix.zero, expected.matrix.zero);
  EXPECT_EQ(found.matrix.scale, expected.matrix.scale);
  for (std::size_t r = 0; r < expected.row_errors.size(); ++r) {
    EXPECT_NEAR(found.row_errors[r], expected.row_errors[r], 1e-4 * expected.row_errors[r]) << r;
  }
  ExpectSameFacts(found, expected, 1e-4);
  const tensor::MatrixView no_gram{nullptr, 0, kIn};
  ExpectSameFacts(kernels_->RoundToNearest(placed_.view(), no_gram, group()),
                  cpu_.kernels.RoundToNearest(w_.view(), no_gram, group()), 1e-4);
}

TEST_P(GpuKernels, RangesAreTheSameUpToTies) {
  const CodedLinear expected =
      cpu_.kernels.SearchRanges(w_.view(), statistics_.gram.view(), group());
  const CodedLinear found = OnHost(kernels_->SearchRanges(placed_.view(), gram_.view(), group()));
  EXPECT_LT(DifferingCodes(found, expected), 0.02);
  EXPECT_NEAR(found.error(), expected.error(), 0.002 * expected.error());
  EXPECT_LT(found.error(),
            0.9 * cpu_.kernels.RoundToNearest(w_.view(), statistics_.gram.view(), group()).error());
  EXPECT_NEAR(static_cast<double>(found.clipped_groups),
              static_cast<double>(expected.clipped_groups),
              0.02 * static_cast<double>(kOut * kIn / group()));
  ExpectSameFacts(found, expected, 0.02);
  ExpectTrueErrors(found, statistics_.gram);
  const CodedLinear again = OnHost(kernels_->SearchRanges(placed_.view(), gram_.view(), group()));
  EXPECT_EQ(found.matrix.q, again.matrix.q);
  EXPECT_EQ(found.matrix.scale, again.matrix.scale);
}

TEST_P(GpuKernels, ProductsSolutionsAndWeightsAreTheSameUpToRounding) {
  const Matrix x = MadeInputs("x", 700, kIn);
  const Matrix y = MadeMatrix("y", 700, kOut);
  Matrix expected(kOut, kIn);
  cpu_.kernels.AddProduct(y.view(), x.view(), expected);
  Matrix found = backend_->Zeros(kOut, kIn);
  kernels_->AddProduct(y.view(), backend_->Place(Matrix(x)).view(), found);
  ExpectNear(backend_->Fetch(found.view()), expected, 1e-4);
  const auto products = cpu_.kernels.RowProducts(w_.view(), expected.view());
  const auto found_products = kernels_->RowProducts(placed_.view(), found.view());
  for (std::size_t r = 0; r < products.size(); ++r) {
    EXPECT_NEAR(found_products[r], products[r], 1e-2 * std::fabs(products[r]) + 1e-2) << r;
  }
  const InputStatistics wide = testing::StatisticsOf(MadeInputs("wide", 700, 700));
  Matrix b = MadeMatrix("b", kOut, 700);
  Matrix solved = backend_->Place(Matrix(b));
  cpu_.kernels.Solve(cpu_.kernels.DampedFactor(wide.gram), b);
  kernels_->Solve(kernels_->DampedFactor(backend_->Place(Matrix(wide.gram))), solved);
  ExpectNear(backend_->Fetch(solved.view()), b, 1e-2);
  cpu_.kernels.Solve(cpu_.kernels.DampedFactor(statistics_.gram), expected);
  kernels_->Solve(kernels_->DampedFactor(gram_), found);
  ExpectNear(backend_->Fetch(found.view()), expected, 1e-2);
  const CodedLinear coded =
      cpu_.kernels.RoundToNearest(w_.view(), statistics_.gram.view(), group());
  ExpectNear(backend_->Fetch(kernels_->Decode(coded.matrix).view()),
             Matrix(kOut, kIn, coded.matrix.Dequantize()), 0.0);
}

TEST_P(GpuKernels, SumsAreTheSameUpToRounding) {
  std::vector<double> expected(kIn);
  std::vector<double> found(kIn);
  cpu_.kernels.AddMagnitudes(w_.view(), expected);
  kernels_->AddMagnitudes(placed_.view(), found);
  const auto squares = cpu_.kernels.ColumnSquares(w_.view());
  const auto found_squares = kernels_->ColumnSquares(placed_.view());
  const tensor::MatrixView views[] = {w_.view(), w_.rows(0, 77)};
  const tensor::MatrixView placed_views[] = {placed_.view(), placed_.rows(0, 77)};
  const auto relative = cpu_.kernels.MeanRelativeWeight(views, group());
  const auto found_relative = kernels_->MeanRelativeWeight(placed_views, group());
  for (std::size_t c = 0; c < kIn; ++c) {
    EXPECT_NEAR(found[c], expected[c], 1e-5 * expected[c]);
    EXPECT_NEAR(found_squares[c], squares[c], 1e-5 * squares[c]);
    EXPECT_NEAR(found_relative[c], relative[c], 1e-5F * relative[c]);
  }
  EXPECT_TRUE(kernels_->AllWithin(placed_.view(), 1.0F));
  EXPECT_FALSE(kernels_->AllWithin(placed_.view(), 0.5F));
}

TEST_P(GpuKernels, GateSquaresAreTheSameUpToRounding) {
  const Matrix up = MadeMatrix("up", kOut, kIn);
  std::vector<double> slopes(kIn);
  std::vector<double> silus(kIn);
  std::vector<double> found_slopes(kIn);
  std::vector<double> found_silus(kIn);
  cpu_.kernels.AddGateSquares(w_.view(), up.view(), 8, slopes, silus);
  kernels_->AddGateSquares(placed_.view(), up.view(), 8, found_slopes, found_silus);
  for (std::size_t c = 0; c < kIn; ++c) {
    EXPECT_NEAR(found_slopes[c], slopes[c], 1e-4 * slopes[c]);
    EXPECT_NEAR(found_silus[c], silus[c], 1e-4 * silus[c]);
  }
}

TEST_P(GpuKernels, ScalesAreAsGoodAsTheCpus) {
  const std::vector<double> ones(kOut, 1.0);
  const auto mean_weight = MeanRelativeWeight(std::vector{w_.view()}, group());
  std::vector<std::int64_t> channel(kIn);
  std::iota(channel.begin(), channel.end(), 0);
  const auto candidates = MakeScaleCandidates(statistics_.mean_abs, mean_weight, channel, kIn);
  const std::vector<WeighedLinear> linears = {{w_.view(), ones}};
  const std::vector<WeighedLinear> placed = {{placed_.view(), ones}};
  const std::vector<double> expected =
      cpu_.kernels.ScaledErrors(candidates, linears, statistics_.gram.view(), group());
  const std::vector<double> found =
      kernels_->ScaledErrors(candidates, placed, gram_.view(), group());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(found[i], expected[i], 4e-3 * expected[i]);
  }
  const auto best = std::ranges::min_element(found) - found.begin();
  EXPECT_LT(expected[static_cast<std::size_t>(best)], 1.001 * std::ranges::min(expected));
  EXPECT_LT(expected[static_cast<std::size_t>(best)], 0.9 * expected.front());
}

TEST_P(GpuKernels, MetricsAreTheSameUpToRounding) {
  const InputMetric expected = cpu_.kernels.MakeInputMetric(statistics_.gram, scales_, group());
  const InputMetric found = kernels_->MakeInputMetric(gram_, scales_, group());
  EXPECT_EQ(found.columns, expected.columns);
  const Matrix feedback = backend_->Fetch(found.feedback.view());
  for (std::int64_t r = 0; r < kIn; ++r) {
    const auto at = static_cast<std::size_t>(r);
    EXPECT_NEAR(found.cost[at], expected.cost[at], 1e-3F * expected.cost[at]);
    for (std::int64_t c = r + 1; c < kIn; ++c) {
      ASSERT_NEAR(feedback.row(r)[static_cast<std::size_t>(c)],
                  expected.feedback.row(r)[static_cast<std::size_t>(c)], 2e-3F);
    }
  }
}

TEST_P(GpuKernels, CompensationGivesTheSameIntegersUpToTies) {
  const InputMetric metric = cpu_.kernels.MakeInputMetric(statistics_.gram, scales_, group());
  const InputMetric placed = kernels_->MakeInputMetric(gram_, scales_, group());
  for (const GridChoice choice : {GridChoice::kMinMax, GridChoice::kSearched}) {
    const CodedLinear expected = cpu_.kernels.CompensateErrors(w_.view(), metric, choice);
    const CodedLinear found = OnHost(kernels_->CompensateErrors(placed_.view(), placed, choice));
    const double share = DifferingCodes(found, expected);
    RecordProperty("differing_codes", std::to_string(share));
    RecordProperty("error_over_the_cpus", std::to_string(found.error() / expected.error()));
    EXPECT_LT(share, 0.05);
    EXPECT_NEAR(found.error(), expected.error(), 0.005 * expected.error());
    EXPECT_NEAR(static_cast<double>(found.clipped_groups),
                static_cast<double>(expected.clipped_groups),
                0.02 * static_cast<double>(kOut * kIn / group()));
    ExpectSameFacts(found, expected, 0.05);
    ExpectTrueErrors(found, cpu_.kernels.DividedGram(statistics_.gram, scales_));
  }
}

TEST_P(GpuKernels, TheSameBytesEachTime) {
  const InputMetric placed = kernels_->MakeInputMetric(gram_, scales_, group());
  const CodedLinear first =
      OnHost(kernels_->CompensateErrors(placed_.view(), placed, GridChoice::kSearched));
  const CodedLinear second =
      OnHost(kernels_->CompensateErrors(placed_.view(), placed, GridChoice::kSearched));
  EXPECT_EQ(first.matrix.q, second.matrix.q);
  EXPECT_EQ(first.matrix.scale, second.matrix.scale);
  EXPECT_EQ(first.row_errors, second.row_errors);
}

INSTANTIATE_TEST_SUITE_P(GroupSizes, GpuKernels, ::testing::Values(32, 64, 128));

TEST(CpuKernels, SolveForWhatTheDampedGramMatrixMultiplies) {
  constexpr std::int64_t kWidth = 300;  // more than the factor's blocks and products' tiles
  testing::CpuMachine cpu;
  const InputStatistics statistics = testing::StatisticsOf(MadeInputs("x", 900, kWidth));
  double damping = 0.0;
  for (std::int64_t c = 0; c < kWidth; ++c) {
    damping += 0.01 * statistics.gram.row(c)[static_cast<std::size_t>(c)] / kWidth;
  }
  const Matrix b = MadeMatrix("b", 70, kWidth);
  Matrix y = b;
  cpu.kernels.Solve(cpu.kernels.DampedFactor(statistics.gram), y);
  Matrix product(y.rows(), kWidth);
  for (std::int64_t r = 0; r < y.rows(); ++r) {
    for (std::size_t c = 0; c < static_cast<std::size_t>(kWidth); ++c) {
      double sum = damping * y.row(r)[c];
      for (std::int64_t k = 0; k < kWidth; ++k) {
        sum +=
            static_cast<double>(y.row(r)[static_cast<std::size_t>(k)]) * statistics.gram.row(k)[c];
      }
      product.row(r)[c] = static_cast<float>(sum);
    }
  }
  ExpectNear(product, b, 5e-3);
}

TEST(CpuKernels, AddTransposedProducts) {
  testing::CpuMachine cpu;
  const Matrix a = MadeMatrix("a", 40, 270);
  const Matrix b = MadeMatrix("b", 40, 300);
  Matrix sum = MadeMatrix("sum", 270, 300);
  Matrix expected = sum;
  for (std::int64_t i = 0; i < a.columns(); ++i) {
    for (std::int64_t j = 0; j < b.columns(); ++j) {
      double product = 0.0;
      for (std::int64_t r = 0; r < a.rows(); ++r) {
        product += static_cast<double>(a.row(r)[static_cast<std::size_t>(i)]) *
                   b.row(r)[static_cast<std::size_t>(j)];
      }
      expected.row(i)[static_cast<std::size_t>(j)] += static_cast<float>(product);
    }
  }
  cpu.kernels.AddProduct(a.view(), b.view(), sum);
  ExpectNear(sum, expected, 1e-6);
}

}  // namespace
}  // namespace tyllm::quant
