// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/weight_correction.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "worker/quant/scaling_group.h"

namespace tyllm::quant {

namespace {

using tensor::Matrix;

double Sum(const std::vector<double>& numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), 0.0);
}

/// One group's linears: they read one input.
class GroupCorrection {
 public:
  GroupCorrection(const InputStatistics& input, const LayerMachine& machine)
      : input_(input),
        backend_(machine.backend),
        kernels_(machine.kernels),
        factor_(kernels_.DampedFactor(input.gram)) {}

  /// The share of the step that is taken.
  double Correct(OutputDrift drift, Matrix& weights) {
    if (!(drift.first_tokens > 0.0) || !(drift.tokens > drift.first_tokens)) {
      return 0.0;  // too little text to tell
    }
    const double share = ShareThatHolds(drift);
    if (share > 0.0) {
      kernels_.Scale(static_cast<float>(share / drift.tokens), drift.sum);
      kernels_.Solve(factor_, drift.sum);
      backend_.Add(weights.view(), drift.sum.view(), weights);
    }
    return share;
  }

 private:
  Matrix Mean(const Matrix& sum, double factor) {
    Matrix mean;
    backend_.Copy(sum.view(), mean);
    kernels_.Scale(static_cast<float>(factor), mean);
    return mean;
  }

  /// Of the sampled rows: which multiple of one half's step is best for the other half, both ways.
  /// Two halves together are surer of themselves than each alone.
  double ShareThatHolds(const OutputDrift& drift) {
    const Matrix first = Mean(drift.first_sum, 1.0 / drift.first_tokens);
    Matrix second = Mean(drift.first_sum, -1.0);
    backend_.Add(second.view(), SampledRows(backend_, drift.sum).view(), second);
    kernels_.Scale(static_cast<float>(1.0 / (drift.tokens - drift.first_tokens)), second);
    double gain = 0.0;
    double cost = 0.0;
    using Halves = std::pair<const Matrix*, const Matrix*>;
    for (const auto& [own, other] : {Halves{&first, &second}, Halves{&second, &first}}) {
      Matrix step = Mean(*own, 1.0);
      kernels_.Solve(factor_, step);
      cost += Sum(kernels_.RowErrors(step.view(), input_.gram.view()));
      gain += Sum(kernels_.RowProducts(step.view(), other->view()));
    }
    if (!(gain > 0.0) || !(cost > 0.0)) {
      return 0.0;
    }
    const double of_one_half = gain / cost;
    return std::min(1.0, 2.0 * of_one_half / (1.0 + of_one_half));
  }

  const InputStatistics& input_;
  tensor::Backend& backend_;
  LayerKernels& kernels_;
  Matrix factor_;
};

/// Of one linear, once; nothing where it has not drifted.
std::optional<OutputDrift> TakeDrift(tensor::Backend& backend, const ScalingGroup& group,
                                     const std::string& linear, const Matrix& weights,
                                     StageDrift& drift) {
  if (auto outputs = drift.outputs.extract(linear)) {
    return std::move(outputs.mapped());
  }
  const auto input = drift.inputs.find(group.input);
  if (input == drift.inputs.end()) {
    return std::nullopt;
  }
  return ThroughWeights(backend, weights, input->second);
}

}  // namespace

std::map<std::string, double> CorrectWeights(
    const LayerTask& task, const std::map<graph::ValueId, InputStatistics>& inputs,
    StageDrift drift, forward::BlockWeights& weights, const LayerMachine& machine) {
  std::map<std::string, double> shares;
  if (drift.empty()) {
    return shares;
  }
  for (const ScalingGroup& group : FindScalingGroups(*task.block, *task.shape)) {
    GroupCorrection correction(inputs.find(group.input)->second, machine);
    for (const std::string& linear : group.linears) {
      if (task.keeps_float(linear)) {
        continue;
      }
      Matrix& of_linear = weights.find(linear)->second;
      auto outputs = TakeDrift(machine.backend, group, linear, of_linear, drift);
      if (outputs) {
        shares[linear] = correction.Correct(*std::move(outputs), of_linear);
      }
    }
  }
  return shares;
}

}  // namespace tyllm::quant
