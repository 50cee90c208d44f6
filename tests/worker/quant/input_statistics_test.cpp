// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/input_statistics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/worker/quant/cpu_machine.h"

namespace tyllm::quant {
namespace {

constexpr std::int64_t kRows = 19;
constexpr std::int64_t kColumns = 8;

tensor::Matrix Made(double seed) {
  tensor::Matrix x(kRows, kColumns);
  for (std::int64_t r = 0; r < kRows; ++r) {
    for (std::int64_t c = 0; c < kColumns; ++c) {
      x.row(r)[static_cast<std::size_t>(c)] =
          static_cast<float>(std::sin(seed + static_cast<double>(r * kColumns + c) * 1.7));
    }
  }
  return x;
}

/// Two runs of images, one of them at the end.
const std::vector<std::int64_t> kImages = {2, 3, 4, 5, 16, 17, 18};

bool IsImage(std::int64_t row) {
  return std::ranges::find(kImages, row) != kImages.end();
}

/// The weighed means, row by row.
struct Naive {
  double weight = 0.0;
  double gram = 0.0;  ///< of columns 1 and 6
  double abs = 0.0;   ///< of column 3
  double image = 0.0, all = 0.0;

  Naive(const tensor::Matrix& x, double image_weight) {
    for (std::int64_t r = 0; r < kRows; ++r) {
      const double w = IsImage(r) ? image_weight : 1.0;
      const auto row = x.row(r);
      weight += w;
      gram += w * row[1] * row[6];
      abs += w * std::fabs(row[3]);
      for (const float number : row) {
        all += w * std::fabs(number);
        image += IsImage(r) ? w * std::fabs(number) : 0.0;
      }
    }
    gram /= weight;
    abs /= weight;
  }
};

class InputStatisticsOf : public ::testing::TestWithParam<double> {
 protected:
  /// Of a linear layer that reads value 1.
  InputStatistics Collect(const tensor::Matrix& x, bool in_two_batches = false) {
    const ScalingGroup group{.input = 1, .linears = {"a"}};
    const graph::Node node{.op = graph::Op::kLinear, .inputs = {1}, .output = 2, .weight = "a"};
    StatisticsCollector collector(*cpu_.backend, cpu_.kernels, std::span(&group, 1));
    for (int batch = 0; batch < (in_two_batches ? 2 : 1); ++batch) {
      StatisticsCollector part(*cpu_.backend, cpu_.kernels, std::span(&group, 1));
      part.SetImageRows({kImages, GetParam()});
      const tensor::Matrix* const input = &x;
      part.Observe(node, std::span(&input, 1));
      collector.Add(std::move(part));
    }
    return std::move(collector.TakeInputs().at(1));
  }

  testing::CpuMachine cpu_;
};

INSTANTIATE_TEST_SUITE_P(Weights, InputStatisticsOf, ::testing::Values(1.0, 0.0, 0.25, 7.0));

TEST_P(InputStatisticsOf, RowsOfImagesCountForTheirWeight) {
  const tensor::Matrix x = Made(0.3);
  const Naive expected(x, GetParam());
  const InputStatistics found = Collect(x);
  EXPECT_NEAR(found.gram.row(6)[1], expected.gram, 1e-5);
  EXPECT_NEAR(found.mean_abs[3], expected.abs, 1e-6);
  EXPECT_NEAR(found.image_share, expected.image / expected.all, 1e-6);
}

TEST_P(InputStatisticsOf, TheSameTokensTwiceAreNoOtherMeans) {
  const tensor::Matrix x = Made(0.3);
  const InputStatistics once = Collect(x);
  const InputStatistics twice = Collect(x, true);
  EXPECT_NEAR(twice.gram.row(6)[1], once.gram.row(6)[1], 1e-6);
  EXPECT_NEAR(twice.mean_abs[3], once.mean_abs[3], 1e-6);
  EXPECT_NEAR(twice.image_share, once.image_share, 1e-9);
}

TEST_P(InputStatisticsOf, GatesAreWeighedToo) {
  const tensor::Matrix gate = Made(0.3);
  const tensor::Matrix up = Made(1.1);
  const auto collect = [&](const std::vector<std::int64_t>& images, double weight) {
    StatisticsCollector collector(*cpu_.backend, cpu_.kernels, {});
    collector.SetImageRows({images, weight});
    const tensor::Matrix* const inputs[] = {&gate, &up};
    collector.Observe({.op = graph::Op::kSiluMul, .inputs = {1, 2}, .output = 3}, inputs);
    return collector.TakeGates().at(3);
  };
  // All rows are images: the weight changes nothing, unless it is 0 (then there is nothing).
  std::vector<std::int64_t> all(kRows);
  std::iota(all.begin(), all.end(), 0);
  const GateSensitivity plain = collect({}, 1.0);
  if (GetParam() > 0) {
    EXPECT_NEAR(collect(all, GetParam()).gate[2], plain.gate[2], 1e-9);
    EXPECT_NEAR(collect(all, GetParam()).up[5], plain.up[5], 1e-9);
  }
  // With half of them images, another weight gives another mean.
  if (GetParam() != 1.0) {
    EXPECT_GT(std::fabs(collect(kImages, GetParam()).up[5] - collect(kImages, 1.0).up[5]), 1e-6);
  }
}

}  // namespace
}  // namespace tyllm::quant
