// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/input_statistics.h"

#include <algorithm>
#include <functional>

namespace tyllm::quant {

namespace {

/// Every eighth token is enough for mean squares of derivatives.
constexpr std::int64_t kGateStride = 8;

}  // namespace

StatisticsCollector::StatisticsCollector(tensor::Backend& backend, LayerKernels& kernels,
                                         std::span<const ScalingGroup> groups)
    : backend_(backend), kernels_(kernels) {
  for (const ScalingGroup& group : groups) {
    counted_.emplace(group.linears.front(), group.input);
  }
}

void StatisticsCollector::Observe(const graph::Node& node,
                                  std::span<const tensor::Matrix* const> inputs) {
  if (node.op == graph::Op::kSiluMul) {
    AddGate(*inputs[0], *inputs[1], gates_[node.output]);
  } else if (node.op == graph::Op::kLinear && counted_.contains(node.weight)) {
    AddInput(*inputs[0], inputs_[node.inputs.front()]);
  }
}

void StatisticsCollector::AddInput(const tensor::Matrix& x, InputSums& sums) {
  const std::int64_t columns = x.columns();
  if (sums.tokens == 0) {
    sums.gram = backend_.Zeros(columns, columns);
    sums.abs.assign(static_cast<std::size_t>(columns), 0.0);
  }
  backend_.AccumulateGram(x.view(), sums.gram);
  kernels_.AddMagnitudes(x.view(), sums.abs);
  sums.tokens += x.rows();
}

void StatisticsCollector::AddGate(const tensor::Matrix& gate, const tensor::Matrix& up,
                                  GateSums& sums) {
  if (sums.tokens == 0) {
    sums.sums.gate.assign(static_cast<std::size_t>(gate.columns()), 0.0);
    sums.sums.up.assign(static_cast<std::size_t>(gate.columns()), 0.0);
  }
  kernels_.AddGateSquares(gate.view(), up.view(), kGateStride, sums.sums.gate, sums.sums.up);
  sums.tokens += (gate.rows() + kGateStride - 1) / kGateStride;
}

void StatisticsCollector::Add(StatisticsCollector later) {
  const auto add = [](const std::vector<double>& more, std::vector<double>& sums) {
    sums.resize(more.size());
    std::ranges::transform(sums, more, sums.begin(), std::plus<>());
  };
  for (auto& [value, more] : later.inputs_) {
    InputSums& sums = inputs_[value];
    if (sums.tokens == 0) {
      sums.gram = backend_.Zeros(more.gram.rows(), more.gram.columns());
    }
    backend_.Add(sums.gram.view(), more.gram.view(), sums.gram);
    add(more.abs, sums.abs);
    sums.tokens += more.tokens;
  }
  for (auto& [value, more] : later.gates_) {
    GateSums& sums = gates_[value];
    add(more.sums.gate, sums.sums.gate);
    add(more.sums.up, sums.sums.up);
    sums.tokens += more.tokens;
  }
}

std::map<graph::ValueId, InputStatistics> StatisticsCollector::TakeInputs() {
  std::map<graph::ValueId, InputStatistics> means;
  for (auto& [value, sums] : inputs_) {
    InputStatistics& mean = means[value];
    mean.gram = std::move(sums.gram);
    kernels_.Scale(1.0F / static_cast<float>(sums.tokens), mean.gram);
    for (const double sum : sums.abs) {
      mean.mean_abs.push_back(static_cast<float>(sum / static_cast<double>(sums.tokens)));
    }
  }
  inputs_.clear();
  return means;
}

std::map<graph::ValueId, GateSensitivity> StatisticsCollector::TakeGates() {
  std::map<graph::ValueId, GateSensitivity> means;
  for (auto& [value, sums] : gates_) {
    for (std::vector<double>* numbers : {&sums.sums.gate, &sums.sums.up}) {
      for (double& number : *numbers) {
        number /= static_cast<double>(sums.tokens);
      }
    }
    means[value] = std::move(sums.sums);
  }
  gates_.clear();
  return means;
}

}  // namespace tyllm::quant
