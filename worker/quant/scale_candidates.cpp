// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/scale_candidates.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "common/base/status.h"

namespace tyllm::quant {

namespace {

constexpr std::size_t kRatios = 20;
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

/// base^(k / kRatios) for k = 0 .. kRatios, by products of the smallest: a power costs far more,
/// and the products are as exact as float32 asks for.
std::array<double, kRatios + 1> Powers(double base) {
  std::array<double, kRatios + 1> powers;
  const double step = std::pow(base, 1.0 / kRatios);
  powers[0] = 1.0;
  for (std::size_t k = 1; k < powers.size(); ++k) {
    powers[k] = powers[k - 1] * step;
  }
  return powers;
}

/// Geometric mean over the columns of each channel.
void Tie(std::span<const std::int64_t> channel, std::int64_t channels, std::vector<float>& scales) {
  if (channels == static_cast<std::int64_t>(scales.size())) {
    return;  // one column each
  }
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
    // x^0 is the identity
    const std::size_t first = formula == ScaleFormula::kActivation ? 1 : 0;
    for (std::size_t step = first; step <= kRatios; ++step) {
      candidates.push_back(
          {formula, static_cast<double>(step) / kRatios, std::vector<float>(columns)});
    }
  }
  for (std::size_t c = 0; c < columns; ++c) {
    const auto x = Powers(mean_abs[c]);
    const auto w = Powers(mean_weight[c]);
    for (std::size_t k = 0; k <= kRatios; ++k) {
      if (k > 0) {
        candidates[k].scales[c] = static_cast<float>(x[k]);
      }
      candidates[kRatios + 1 + k].scales[c] = static_cast<float>(x[k] / (w[kRatios - k] + 1e-4));
    }
  }
  for (ScaleCandidate& candidate : std::span(candidates).subspan(1)) {
    Normalize(candidate.scales);
    Tie(channel, channels, candidate.scales);
  }
  return candidates;
}

}  // namespace tyllm::quant
