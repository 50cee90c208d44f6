// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/input_statistics.h"

#include <cmath>

namespace tyllm::quant {

namespace {

/// Columns that one task adds up.
constexpr std::int64_t kColumnRun = 64;
/// Every eighth token is enough for mean squares of derivatives.
constexpr std::int64_t kGateStride = 8;

}  // namespace

StatisticsCollector::StatisticsCollector(tensor::Backend& backend, tensor::TaskLanes& lanes,
                                         std::span<const ScalingGroup> groups)
    : backend_(backend), lanes_(lanes) {
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
    sums.gram = tensor::Matrix(columns, columns);
    sums.abs.assign(static_cast<std::size_t>(columns), 0.0);
  }
  backend_.AccumulateGram(x.view(), sums.gram);
  lanes_.ForRuns(columns, kColumnRun, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = 0; r < x.rows(); ++r) {
      const std::span<const float> row = x.row(r);
      for (std::int64_t c = first; c < last; ++c) {
        sums.abs[static_cast<std::size_t>(c)] += std::fabs(row[static_cast<std::size_t>(c)]);
      }
    }
  });
  sums.tokens += x.rows();
}

void StatisticsCollector::AddGate(const tensor::Matrix& gate, const tensor::Matrix& up,
                                  GateSums& sums) {
  const std::int64_t columns = gate.columns();
  if (sums.tokens == 0) {
    sums.sums.gate.assign(static_cast<std::size_t>(columns), 0.0);
    sums.sums.up.assign(static_cast<std::size_t>(columns), 0.0);
  }
  lanes_.ForRuns(columns, kColumnRun, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = 0; r < gate.rows(); r += kGateStride) {
      for (std::int64_t c = first; c < last; ++c) {
        const auto i = static_cast<std::size_t>(c);
        const float g = gate.row(r)[i];
        const float sigmoid = 1.0F / (1.0F + std::exp(-g));
        const float slope = sigmoid * (1.0F + g * (1.0F - sigmoid)) * up.row(r)[i];
        const float silu = g * sigmoid;
        sums.sums.gate[i] += slope * slope;
        sums.sums.up[i] += silu * silu;
      }
    }
  });
  sums.tokens += (gate.rows() + kGateStride - 1) / kGateStride;
}

std::map<graph::ValueId, InputStatistics> StatisticsCollector::TakeInputs() {
  std::map<graph::ValueId, InputStatistics> means;
  for (auto& [value, sums] : inputs_) {
    InputStatistics& mean = means[value];
    mean.gram = std::move(sums.gram);
    const float factor = 1.0F / static_cast<float>(sums.tokens);
    for (std::int64_t r = 0; r < mean.gram.rows(); ++r) {
      for (float& g : mean.gram.row(r)) {
        g *= factor;
      }
    }
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
