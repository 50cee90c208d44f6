// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/fold.h"

#include <algorithm>
#include <cmath>

#include "common/format/float16.h"

namespace tyllm::quant {

namespace {

float AsHalf(float value) {
  return format::HalfToFloat(format::FloatToHalf(value));
}

/// One scale a channel from one a column.
std::vector<float> ByChannel(const ScalingGroup& group, std::span<const float> scales) {
  std::vector<float> channel(static_cast<std::size_t>(group.channels), 1.0F);
  for (std::size_t c = 0; c < scales.size(); ++c) {
    channel[static_cast<std::size_t>(group.channel[c])] = scales[c];
  }
  return channel;
}

/// Rounds number / scale to fp16 in `numbers` and makes `scale` what it was really divided by.
void DivideRounded(std::vector<float>& numbers, std::vector<float>& scale) {
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const float number = numbers[i];
    const float rounded = AsHalf(number / scale[i]);
    if (number == 0.0F) {
      numbers[i] = 0.0F;  // any scale will do
    } else if (rounded == 0.0F || !std::isfinite(rounded)) {
      const float kept = AsHalf(number);
      scale[i] = 1.0F;
      numbers[i] = kept;
    } else {
      scale[i] = number / rounded;
      numbers[i] = rounded;
    }
  }
}

std::vector<float> Numbers(const forward::BlockWeights& weights, const std::string& name,
                           tensor::Backend& backend) {
  const tensor::Matrix matrix = backend.Fetch(weights.find(name)->second.view());
  return {matrix.data(), matrix.data() + matrix.rows() * matrix.columns()};
}

/// Puts other numbers into a weight of the same shape.
void Replace(const std::vector<float>& numbers, const std::string& name, tensor::Backend& backend,
             forward::BlockWeights& weights) {
  tensor::Matrix& matrix = weights.find(name)->second;
  matrix = backend.Place(tensor::Matrix(matrix.rows(), matrix.columns(), numbers));
}

}  // namespace

FoldPlan PlanFold(const ScalingGroup& group, const forward::BlockWeights& weights,
                  std::span<const float> scales, const LayerMachine& machine) {
  FoldPlan plan;
  plan.channel = ByChannel(group, scales);
  switch (group.producer) {
    case Producer::kNone:
      std::fill(plan.channel.begin(), plan.channel.end(), 1.0F);
      break;
    case Producer::kNorm:
      plan.norm = Numbers(weights, group.producer_weight, machine.backend);
      DivideRounded(plan.norm, plan.channel);
      break;
    case Producer::kLinear:
      if (!group.producer_bias.empty()) {
        plan.bias = Numbers(weights, group.producer_bias, machine.backend);
        DivideRounded(plan.bias, plan.channel);
      }
      break;
  }
  plan.scales.resize(group.channel.size());
  for (std::size_t c = 0; c < plan.scales.size(); ++c) {
    plan.scales[c] = plan.channel[static_cast<std::size_t>(group.channel[c])];
  }
  return plan;
}

void ApplyFold(const ScalingGroup& group, const FoldPlan& plan, const LayerMachine& machine,
               forward::BlockWeights& weights) {
  switch (group.producer) {
    case Producer::kNone:
      return;
    case Producer::kNorm:
      Replace(plan.norm, group.producer_weight, machine.backend, weights);
      break;
    case Producer::kLinear:
      machine.kernels.DivideRows(plan.channel, weights.find(group.producer_weight)->second);
      if (!group.producer_bias.empty()) {
        Replace(plan.bias, group.producer_bias, machine.backend, weights);
      }
      break;
  }
  for (const std::string& linear : group.linears) {
    machine.kernels.MultiplyColumns(plan.scales, weights.find(linear)->second);
  }
}

}  // namespace tyllm::quant
