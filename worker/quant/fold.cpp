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

std::vector<float> Numbers(const forward::BlockWeights& weights, const std::string& name) {
  const tensor::Matrix& matrix = weights.find(name)->second;
  return {matrix.data(), matrix.data() + matrix.rows() * matrix.columns()};
}

void MultiplyColumns(std::span<const float> scales, tensor::Matrix& matrix) {
  for (std::int64_t r = 0; r < matrix.rows(); ++r) {
    const std::span<float> row = matrix.row(r);
    for (std::size_t c = 0; c < row.size(); ++c) {
      row[c] *= scales[c];
    }
  }
}

void DivideRows(std::span<const float> scales, tensor::Matrix& matrix) {
  for (std::int64_t r = 0; r < matrix.rows(); ++r) {
    for (float& w : matrix.row(r)) {
      w /= scales[static_cast<std::size_t>(r)];
    }
  }
}

}  // namespace

FoldPlan PlanFold(const ScalingGroup& group, const forward::BlockWeights& weights,
                  std::span<const float> scales) {
  FoldPlan plan;
  plan.channel = ByChannel(group, scales);
  switch (group.producer) {
    case Producer::kNone:
      std::fill(plan.channel.begin(), plan.channel.end(), 1.0F);
      break;
    case Producer::kNorm:
      plan.norm = Numbers(weights, group.producer_weight);
      DivideRounded(plan.norm, plan.channel);
      break;
    case Producer::kLinear:
      if (!group.producer_bias.empty()) {
        plan.bias = Numbers(weights, group.producer_bias);
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

void ApplyFold(const ScalingGroup& group, const FoldPlan& plan, forward::BlockWeights& weights) {
  switch (group.producer) {
    case Producer::kNone:
      return;
    case Producer::kNorm:
      std::copy(plan.norm.begin(), plan.norm.end(),
                weights.find(group.producer_weight)->second.data());
      break;
    case Producer::kLinear:
      DivideRows(plan.channel, weights.find(group.producer_weight)->second);
      if (!group.producer_bias.empty()) {
        std::copy(plan.bias.begin(), plan.bias.end(),
                  weights.find(group.producer_bias)->second.data());
      }
      break;
  }
  for (const std::string& linear : group.linears) {
    MultiplyColumns(plan.scales, weights.find(linear)->second);
  }
}

}  // namespace tyllm::quant
