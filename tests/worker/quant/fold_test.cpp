// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/fold.h"

#include <gtest/gtest.h>

#include <cmath>

#include "common/format/float16.h"
#include "tests/worker/quant/cpu_machine.h"
#include "tests/worker/quant/made_statistics.h"
#include "worker/tensor/backend.h"

namespace tyllm::quant {
namespace {

using tensor::Matrix;
using testing::MadeFloats;
using testing::MadeMatrix;
using testing::ModelDirectory;

/// Random float weights of one layer of the small Qwen3 model, norms around 1.
forward::BlockWeights MadeWeights(const graph::Block& block, bool biases) {
  forward::BlockWeights weights;
  for (const graph::Node& node : block.nodes) {
    if (node.weight.empty()) {
      continue;
    }
    const auto columns = [&](graph::ValueId id) {
      return block.values[static_cast<std::size_t>(id)].columns;
    };
    if (node.op == graph::Op::kLinear) {
      weights[node.weight] = MadeMatrix(node.weight, columns(node.output), columns(node.inputs[0]));
    } else {
      const bool per_head = node.op == graph::Op::kHeadRmsNorm;
      weights[node.weight] = MadeMatrix(node.weight, 1, per_head ? 16 : columns(node.output));
      for (float& w : weights[node.weight].row(0)) {
        w = format::HalfToFloat(format::FloatToHalf(1.0F + 0.5F * w));
      }
    }
    if (biases && !node.bias.empty()) {
      weights[node.bias] = MadeMatrix(node.bias, 1, columns(node.output));
    }
  }
  return weights;
}

/// Scales between 1/3 and 3, one a channel of the producer.
std::vector<float> WantedScales(const ScalingGroup& group) {
  const std::vector<float> by_channel = MadeFloats(group.producer_weight, group.channels);
  std::vector<float> scales;
  for (const std::int64_t channel : group.channel) {
    scales.push_back(std::pow(3.0F, by_channel[static_cast<std::size_t>(channel)]));
  }
  return scales;
}

Matrix RunLayer(const model::ModelShape& shape, const graph::Block& block,
                const forward::BlockWeights& weights) {
  const auto backend = *tensor::MakeBackend("cpu", 1);
  forward::BlockRunner runner(*backend, shape);
  const Matrix hidden = MadeMatrix("hidden", 24, shape.width);
  return *runner.Run(block, weights, hidden, 2);
}

void ExpectSameLayer(bool biases) {
  format::Json config = ModelDirectory::SmallQwen3Config();
  model::ModelShape shape = *model::ParseShape(config, "config.json");
  shape.qkv_bias = biases;
  const graph::Block block = graph::BuildGraph(shape).layers[0];
  const forward::BlockWeights before = MadeWeights(block, biases);
  forward::BlockWeights after = before;
  const testing::CpuMachine cpu;
  const auto groups = FindScalingGroups(block, shape);
  for (auto group = groups.rbegin(); group != groups.rend(); ++group) {
    const FoldPlan plan = PlanFold(*group, after, WantedScales(*group), cpu.machine);
    ApplyFold(*group, plan, cpu.machine, after);
  }
  const Matrix expected = RunLayer(shape, block, before);
  const Matrix folded = RunLayer(shape, block, after);
  for (std::int64_t i = 0; i < expected.rows() * expected.columns(); ++i) {
    const float e = expected.data()[i];
    ASSERT_NEAR(folded.data()[i], e, 2e-4F * (1.0F + std::fabs(e))) << i;
  }
  // ... though the numbers are others.
  EXPECT_NE(after.at("model.layers.0.mlp.down_proj").data()[0],
            before.at("model.layers.0.mlp.down_proj").data()[0]);
}

TEST(Fold, OfAllGroupsLeavesTheLayerTheSameFunction) {
  ExpectSameLayer(false);
}

TEST(Fold, DividesBiasesToo) {
  ExpectSameLayer(true);
}

TEST(Fold, UsesTheScaleThatTheRoundedNormReallyHas) {
  ScalingGroup group;
  group.linears = {"linear"};
  group.producer = Producer::kNorm;
  group.producer_weight = "norm";
  group.channel = {0, 1, 2, 3};
  group.channels = 4;
  forward::BlockWeights weights;
  weights["norm"] = Matrix(1, 4, {1.0F, 0.0F, 2e-7F, 3.0F});
  weights["linear"] = Matrix(1, 4, {1.0F, 1.0F, 1.0F, 1.0F});
  const testing::CpuMachine cpu;
  const FoldPlan plan =
      PlanFold(group, weights, std::vector{3.0F, 3.0F, 1000.0F, 1e-5F}, cpu.machine);
  for (const float norm : plan.norm) {
    EXPECT_EQ(format::HalfToFloat(format::FloatToHalf(norm)), norm);
  }
  EXPECT_EQ(plan.norm[0] * plan.scales[0], 1.0F);
  EXPECT_NE(plan.scales[0], 3.0F);  // 1/3 is no value of fp16
  EXPECT_EQ(plan.norm[1], 0.0F);    // nothing to divide
  EXPECT_EQ(plan.scales[2], 1.0F);  // 2e-10 would be 0
  EXPECT_EQ(plan.scales[3], 1.0F);  // 300000 would be infinite
  EXPECT_EQ(plan.norm[3], 3.0F);
}

TEST(Fold, WithoutAProducerChangesNothing) {
  ScalingGroup group;
  group.linears = {"linear"};
  group.channel = {0, 1};
  group.channels = 2;
  forward::BlockWeights weights;
  weights["linear"] = Matrix(1, 2, {5.0F, 6.0F});
  const testing::CpuMachine cpu;
  const FoldPlan plan = PlanFold(group, weights, std::vector{2.0F, 3.0F}, cpu.machine);
  EXPECT_EQ(plan.scales, (std::vector{1.0F, 1.0F}));
  ApplyFold(group, plan, cpu.machine, weights);
  EXPECT_EQ(weights.at("linear").data()[1], 6.0F);
}

}  // namespace
}  // namespace tyllm::quant
