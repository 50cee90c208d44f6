// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/scale_choice.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "common/base/status.h"

namespace tyllm::quant {

namespace {

/// Of each linear one run of rows in so many is in the sample: at most eight, and fewer where that
/// would leave less than kSampledRows.
constexpr std::int64_t kRunRows = 8;
constexpr std::int64_t kLargestStep = 8;
constexpr std::int64_t kSampledRows = 128;
/// Candidates that are tried on all rows, besides the first. Errors of neighbours among candidates
/// differ by a few thousandths, as a sample's do.
constexpr std::size_t kFinalists = 6;

std::int64_t StepOf(std::int64_t rows) {
  return std::clamp<std::int64_t>(rows / kSampledRows, 1, kLargestStep);
}

/// Some rows of linears.
class RowSample {
 public:
  RowSample(std::span<const WeighedLinear> linears, tensor::Backend& backend)
      : weights_(linears.size()), row_weights_(linears.size()) {
    for (std::size_t l = 0; l < linears.size(); ++l) {
      const auto& [all, all_weights] = linears[l];
      const std::int64_t stride = StepOf(all.rows) * kRunRows;
      for (std::int64_t first = 0; first < all.rows; first += stride) {
        const std::int64_t count = std::min(kRunRows, all.rows - first);
        backend.AppendRows({all.data + first * all.columns, count, all.columns}, weights_[l]);
        const auto run =
            all_weights.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
        row_weights_[l].insert(row_weights_[l].end(), run.begin(), run.end());
      }
      linears_.push_back({weights_[l].view(), row_weights_[l]});
    }
  }

  std::span<const WeighedLinear> linears() const { return linears_; }

 private:
  std::vector<tensor::Matrix> weights_;  ///< in the backend's memory
  std::vector<std::vector<double>> row_weights_;
  std::vector<WeighedLinear> linears_;  ///< of these
};

/// The first and the best others, in their order.
std::vector<ScaleCandidate> Finalists(std::span<const ScaleCandidate> candidates,
                                      std::span<const double> errors) {
  std::vector<std::size_t> order(candidates.size() - 1);
  std::iota(order.begin(), order.end(), std::size_t{1});
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return errors[i]; });
  order.resize(kFinalists);
  order.push_back(0);
  std::ranges::sort(order);
  std::vector<ScaleCandidate> finalists;
  std::ranges::transform(order, std::back_inserter(finalists),
                         [&](std::size_t i) { return candidates[i]; });
  return finalists;
}

}  // namespace

ScaleCandidate BestScales(std::span<const ScaleCandidate> candidates,
                          std::span<const WeighedLinear> linears, tensor::MatrixView gram,
                          std::int64_t group, const LayerMachine& machine) {
  TYLLM_CHECK(!candidates.empty());
  const bool all_are_small = std::ranges::all_of(
      linears, [](const WeighedLinear& linear) { return StepOf(linear.weights.rows) == 1; });
  std::vector<ScaleCandidate> finalists(candidates.begin(), candidates.end());
  if (candidates.size() > kFinalists + 1 && !all_are_small) {
    const RowSample sample(linears, machine.backend);
    finalists = Finalists(candidates,
                          machine.kernels.ScaledErrors(candidates, sample.linears(), gram, group));
  }
  if (finalists.size() == 1) {
    return finalists.front();
  }
  const std::vector<double> errors = machine.kernels.ScaledErrors(finalists, linears, gram, group);
  return finalists[static_cast<std::size_t>(std::ranges::min_element(errors) - errors.begin())];
}

}  // namespace tyllm::quant
