// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/layer_quantizer.h"

#include <gtest/gtest.h>

#include "tests/support/temporary_directory.h"
#include "tests/worker/quant/cpu_machine.h"
#include "tests/worker/quant/made_model.h"
#include "tests/worker/quant/made_statistics.h"
#include "worker/forward/model.h"
#include "worker/quant/calibration_pass.h"

namespace tyllm::quant {
namespace {

using tensor::Matrix;

/// One layer of the small model, calibrated on made-up hidden states.
class QuantizingALayer : public ::testing::Test {
 protected:
  void SetUp() override {
    testing::WriteModel(testing::SmallModel(), folder_ / "model");
    model_.emplace(*forward::OpenModel(folder_ / "model"));
    options_.group_size = 32;
    weights_ = *forward::LoadBlock(model_->checkpoint, block());
    StatisticsCollector collector(backend(), cpu_.kernels,
                                  FindScalingGroups(block(), model_->shape()));
    forward::BlockRunner runner(backend(), model_->shape());
    hidden_ = testing::MadeInputs("hidden", 4 * 32, 64);
    expected_ = *runner.Run(
        block(), weights_, hidden_, 4,
        [&](const auto& node, auto inputs, const auto&) { collector.Observe(node, inputs); });
    statistics_ = {collector.TakeInputs(), collector.TakeGates()};
  }

  tensor::Backend& backend() { return *cpu_.backend; }

  const graph::Block& block() const { return model_->graph.layers[0]; }

  QuantizedLayer Quantize() {
    const LayerTask task{&block(), &model_->shape(), &options_,
                         [this](std::string_view module) { return module == kept_; }};
    return QuantizeLayer(task, statistics_, weights_, cpu_.machine);
  }

  /// Mean squared difference of the layer's outputs after quantization.
  double OutputError(const QuantizedLayer& layer) {
    forward::BlockWeights weights = layer.floats;
    for (const auto& [name, matrix] : layer.linears) {
      weights[name] = Matrix(matrix.rows, matrix.columns, matrix.Dequantize());
    }
    forward::BlockRunner runner(backend(), model_->shape());
    const Matrix out = *runner.Run(block(), weights, hidden_, 4);
    double sum = 0.0;
    for (std::int64_t i = 0; i < out.rows() * out.columns(); ++i) {
      const double difference = out.data()[i] - expected_.data()[i];
      sum += difference * difference;
    }
    return sum / static_cast<double>(out.rows() * out.columns());
  }

  testing::TemporaryDirectory folder_;
  std::optional<forward::Model> model_;
  testing::CpuMachine cpu_;
  domain::QuantizeOptions options_;
  forward::BlockWeights weights_;
  Matrix hidden_;
  Matrix expected_;
  LayerStatistics statistics_;
  std::string kept_;
};

TEST_F(QuantizingALayer, BringsItsOutputsNearerThanRoundToNearest) {
  const LayerTask task{&block(), &model_->shape(), &options_, [](auto) { return false; }};
  const double nearest = OutputError(RoundLayer(task, weights_, cpu_.machine));
  for (const auto method : {domain::QuantizeMethod::kAwq, domain::QuantizeMethod::kAwqGptq}) {
    options_.method = method;
    options_.clip = false;
    const double scaled = OutputError(Quantize());
    options_.clip = true;
    const double searched = OutputError(Quantize());
    EXPECT_LT(scaled, nearest);
    EXPECT_LT(searched, scaled);
  }
}

TEST_F(QuantizingALayer, GainsByMakingErrorsGood) {
  options_.method = domain::QuantizeMethod::kAwq;
  const double awq = OutputError(Quantize());
  options_.method = domain::QuantizeMethod::kAwqGptq;
  EXPECT_LT(OutputError(Quantize()), 0.95 * awq);
}

TEST_F(QuantizingALayer, ReportsNoLinearThatIsWorseAndOneThatWasScaled) {
  const QuantizedLayer layer = Quantize();
  ASSERT_EQ(layer.reports.size(), 7U);
  EXPECT_EQ(layer.reports[0].name, "model.layers.0.self_attn.q_proj");
  EXPECT_EQ(layer.reports[6].name, "model.layers.0.mlp.down_proj");
  bool scaled = false;
  for (const LinearReport& report : layer.reports) {
    EXPECT_GT(report.error, 0.0);
    EXPECT_LE(report.error, report.rtn_error) << report.name;
    EXPECT_GT(report.clipped_share, 0.0);
    scaled = scaled || report.folded_into != Producer::kNone;
  }
  EXPECT_TRUE(scaled);
}

TEST_F(QuantizingALayer, KeepsALinearInFloatThatReadsTheSameInput) {
  kept_ = "model.layers.0.self_attn.q_proj";
  const QuantizedLayer layer = Quantize();
  EXPECT_EQ(layer.linears.size(), 6U);
  EXPECT_TRUE(layer.floats.contains(kept_));
  EXPECT_FALSE(layer.reports[0].quantized);
  // Its columns were multiplied by what the norm was divided by: q itself did not change.
  options_.clip = false;
  QuantizedLayer only_folds = Quantize();
  const Matrix& q = only_folds.floats.at(kept_);
  const Matrix& norm = only_folds.floats.at("model.layers.0.input_layernorm.weight");
  for (std::int64_t c = 0; c < 64; ++c) {
    const auto i = static_cast<std::size_t>(c);
    const float before = weights_.at(kept_).row(3)[i] *
                         weights_.at("model.layers.0.input_layernorm.weight").row(0)[i];
    EXPECT_NEAR(q.row(3)[i] * norm.row(0)[i], before, 1e-5F);
  }
}

TEST_F(QuantizingALayer, DoesNotFoldIntoAProducerThatStaysInFloat) {
  kept_ = "model.layers.0.mlp.up_proj";
  const QuantizedLayer layer = Quantize();
  EXPECT_EQ(layer.reports[6].folded_into, Producer::kNone);
}

}  // namespace
}  // namespace tyllm::quant
