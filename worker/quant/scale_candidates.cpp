// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/scale_candidates.h"

#include <algorithm>
#include <cmath>

#include "common/base/status.h"

namespace tyllm::quant {

namespace {

constexpr int kRatios = 20;
constexpr float kSmallestScale = 1e-4F;

void AddRelativeWeights(tensor::MatrixView weights, std::int64_t group, std::vector<double>& sums) {
  for (std::int64_t r = 0; r < weights.rows; ++r) {
    const std::span<const float> row = weights.row(r);
    for (std::int64_t first = 0; first < weights.columns; first += group) {
      const auto part =
          row.subspan(static_cast<std::size_t>(first),
                      static_cast<std::size_t>(std::min(group, weights.columns - first)));
      float largest = 0.0F;
      for (const float w : part) {
        largest = std::max(largest, std::fabs(w));
      }
      const float inverse = 1.0F / (largest + 1e-6F);
      for (std::size_t i = 0; i < part.size(); ++i) {
        sums[static_cast<std::size_t>(first) + i] += std::fabs(part[i]) * inverse;
      }
    }
  }
}

float ScaleOf(ScaleFormula formula, double ratio, double x, double w) {
  switch (formula) {
    case ScaleFormula::kIdentity:
      return 1.0F;
    case ScaleFormula::kActivation:
      return static_cast<float>(std::pow(x, ratio));
    case ScaleFormula::kDuo:
      return static_cast<float>(std::pow(x, ratio) / (std::pow(w, 1.0 - ratio) + 1e-4));
  }
  return 1.0F;
}

/// Geometric mean over the columns of each channel.
void Tie(std::span<const std::int64_t> channel, std::int64_t channels, std::vector<float>& scales) {
  std::vector<double> logs(static_cast<std::size_t>(channels));
  std::vector<int> counts(logs.size());
  for (std::size_t c = 0; c < scales.size(); ++c) {
    const auto at = static_cast<std::size_t>(channel[c]);
    logs[at] += std::log(static_cast<double>(scales[c]));
    ++counts[at];
  }
  for (std::size_t c = 0; c < scales.size(); ++c) {
    const auto at = static_cast<std::size_t>(channel[c]);
    if (counts[at] > 1) {
      scales[c] = static_cast<float>(std::exp(logs[at] / counts[at]));
    }
  }
}

/// Divides by sqrt(largest * smallest); what is not a number becomes 1.
void Normalize(std::vector<float>& scales) {
  for (float& s : scales) {
    s = std::isfinite(s) ? std::max(s, kSmallestScale) : 1.0F;
  }
  const auto [smallest, largest] = std::minmax_element(scales.begin(), scales.end());
  const float middle = std::sqrt(*smallest) * std::sqrt(*largest);
  for (float& s : scales) {
    s /= middle;
  }
}

}  // namespace

std::vector<float> MeanRelativeWeight(std::span<const tensor::MatrixView> weights,
                                      std::int64_t group) {
  TYLLM_CHECK(!weights.empty());
  std::vector<double> sums(static_cast<std::size_t>(weights.front().columns));
  std::int64_t rows = 0;
  for (const tensor::MatrixView& matrix : weights) {
    AddRelativeWeights(matrix, group, sums);
    rows += matrix.rows;
  }
  std::vector<float> means(sums.size());
  std::transform(sums.begin(), sums.end(), means.begin(), [rows](double sum) {
    return static_cast<float>(sum / static_cast<double>(rows));
  });
  return means;
}

std::vector<ScaleCandidate> MakeScaleCandidates(std::span<const float> mean_abs,
                                                std::span<const float> mean_weight,
                                                std::span<const std::int64_t> channel,
                                                std::int64_t channels) {
  const std::size_t columns = mean_abs.size();
  std::vector<ScaleCandidate> candidates;
  candidates.push_back({ScaleFormula::kIdentity, 0.0, std::vector<float>(columns, 1.0F)});
  for (const ScaleFormula formula : {ScaleFormula::kActivation, ScaleFormula::kDuo}) {
    const int first = formula == ScaleFormula::kActivation ? 1 : 0;  // x^0 is the identity
    for (int step = first; step <= kRatios; ++step) {
      ScaleCandidate candidate{formula, static_cast<double>(step) / kRatios, {}};
      candidate.scales.resize(columns);
      for (std::size_t c = 0; c < columns; ++c) {
        candidate.scales[c] = ScaleOf(formula, candidate.ratio, mean_abs[c], mean_weight[c]);
      }
      Normalize(candidate.scales);
      Tie(channel, channels, candidate.scales);
      candidates.push_back(std::move(candidate));
    }
  }
  return candidates;
}

}  // namespace tyllm::quant
