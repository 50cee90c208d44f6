// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/input_metric.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "worker/quant/upper_factor.h"

namespace tyllm::quant {

namespace {

using tensor::Matrix;

/// Added to the diagonal of G, of its mean: GPTQ's. Where float32 needs more, ten times as much
/// until it is enough. The last try outweighs the sum of any row of finite numbers.
constexpr double kDamping = 0.01;
constexpr double kMoreDamping = 10.0;
constexpr int kDampingTries = 12;
constexpr std::int64_t kRowRun = 16;

std::vector<float> DiagonalOf(const Matrix& gram) {
  std::vector<float> diagonal;
  for (std::int64_t c = 0; c < gram.columns(); ++c) {
    diagonal.push_back(gram.row(c)[static_cast<std::size_t>(c)]);
  }
  return diagonal;
}

/// In the order of treatment, of the divided inputs.
Matrix OrderedGram(const Matrix& gram, std::span<const float> scales,
                   std::span<const std::int64_t> columns, tensor::TaskLanes& lanes) {
  Matrix ordered(gram.rows(), gram.columns());
  lanes.ForRuns(ordered.rows(), kRowRun, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      const std::int64_t from = columns[static_cast<std::size_t>(i)];
      const std::span<const float> row = gram.row(from);
      const float row_scale = scales[static_cast<std::size_t>(from)];
      std::ranges::transform(columns, ordered.row(i).begin(), [=](std::int64_t c) {
        const auto at = static_cast<std::size_t>(c);
        return row[at] / (row_scale * scales[at]);
      });
    }
  });
  return ordered;
}

Matrix Identity(std::int64_t size) {
  Matrix identity(size, size);
  for (std::int64_t i = 0; i < size; ++i) {
    identity.row(i)[static_cast<std::size_t>(i)] = 1.0F;
  }
  return identity;
}

/// Of gram + damping on the diagonal, where `divisor(i)` is what input i was divided by: inputs are
/// damped before that, so that scales do not change who is damped. What is not finite has no
/// factor: CheckStatistics refuses it before, and here it gets the identity instead of tries
/// without end.
template <typename Divisor>
Matrix DampedFactorOf(const Matrix& gram, double mean, const Divisor& divisor,
                      tensor::TaskLanes& lanes) {
  double damping = kDamping * mean;
  for (int tries = 0; tries < kDampingTries && std::isfinite(damping); ++tries) {
    Matrix factor = gram;
    for (std::int64_t i = 0; i < factor.rows(); ++i) {
      const double scale = divisor(i);
      factor.row(i)[static_cast<std::size_t>(i)] += static_cast<float>(damping / (scale * scale));
    }
    if (FactorUpper(factor, lanes)) {
      return factor;
    }
    damping *= kMoreDamping;
  }
  return Identity(gram.rows());
}

}  // namespace

std::vector<std::int64_t> TreatmentOrder(std::span<const float> diagonal,
                                         std::span<const float> scales, std::int64_t group) {
  std::vector<double> strength;
  for (std::size_t c = 0; c < diagonal.size(); ++c) {
    const auto scale = static_cast<double>(scales[c]);
    strength.push_back(static_cast<double>(diagonal[c]) / (scale * scale));
  }
  const auto of_column = [&](std::int64_t c) { return strength[static_cast<std::size_t>(c)]; };
  const auto of_group = [&](std::int64_t g) {
    return std::accumulate(strength.begin() + g * group, strength.begin() + (g + 1) * group, 0.0);
  };
  std::vector<std::int64_t> groups(strength.size() / static_cast<std::size_t>(group));
  std::iota(groups.begin(), groups.end(), std::int64_t{0});
  std::ranges::stable_sort(groups, std::greater<>(), of_group);
  std::vector<std::int64_t> columns(strength.size());
  auto next = columns.begin();
  for (const std::int64_t g : groups) {
    const auto end = next + group;
    std::iota(next, end, g * group);
    std::stable_sort(next, end,
                     [&](std::int64_t a, std::int64_t b) { return of_column(a) > of_column(b); });
    next = end;
  }
  return columns;
}

double MeanDiagonal(std::span<const float> diagonal) {
  const double sum = std::accumulate(diagonal.begin(), diagonal.end(), 0.0);
  const double mean = sum / static_cast<double>(diagonal.size());
  return mean > 0.0 ? mean : 1.0;
}

Matrix DampedFactor(const Matrix& gram, tensor::TaskLanes& lanes) {
  return DampedFactorOf(
      gram, MeanDiagonal(DiagonalOf(gram)), [](std::int64_t) { return 1.0; }, lanes);
}

InputMetric MakeInputMetric(const Matrix& gram, std::span<const float> scales, std::int64_t group,
                            tensor::TaskLanes& lanes) {
  InputMetric metric;
  metric.group = group;
  const std::vector<float> diagonal = DiagonalOf(gram);
  metric.columns = TreatmentOrder(diagonal, scales, group);
  metric.gram = OrderedGram(gram, scales, metric.columns, lanes);
  metric.feedback = DampedFactorOf(
      metric.gram, MeanDiagonal(diagonal),
      [&](std::int64_t i) {
        const std::int64_t column = metric.columns[static_cast<std::size_t>(i)];
        return static_cast<double>(scales[static_cast<std::size_t>(column)]);
      },
      lanes);
  // From U with G = U U^T to (I + F) diag(cost) (I + F)^T: columns over their pivots.
  std::vector<float> inverses;
  for (std::int64_t k = 0; k < metric.width(); ++k) {
    const float pivot = metric.feedback.row(k)[static_cast<std::size_t>(k)];
    metric.cost.push_back(pivot * pivot);
    inverses.push_back(1.0F / pivot);
  }
  for (std::int64_t j = 0; j < metric.width(); ++j) {
    const std::span<float> row = metric.feedback.row(j);
    std::ranges::transform(row, inverses, row.begin(), std::multiplies<>());
  }
  return metric;
}

}  // namespace tyllm::quant
