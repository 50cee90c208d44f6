// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/weight_correction.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string_view>

#include "tests/worker/quant/cpu_machine.h"
#include "tests/worker/quant/made_statistics.h"

namespace tyllm::quant {
namespace {

using tensor::Matrix;
using testing::MadeInputs;
using testing::MadeMatrix;

constexpr std::int64_t kIn = 64;
constexpr std::int64_t kOut = 48;
constexpr std::int64_t kTokens = 600;

/// One linear layer whose output is added to the hidden states, or not.
class Correcting : public ::testing::TestWithParam<bool> {
 protected:
  static graph::Block MakeBlock() {
    graph::Block block{"stage", {{"x", kIn}, {"y", kOut}, {"hidden", kOut}, {"sum", kOut}}, {}, 1};
    block.nodes = {{graph::Op::kLinear, {0}, 1, "linear"}};
    if (GetParam()) {
      block.nodes.push_back({graph::Op::kAdd, {2, 1}, 3, ""});
      block.output = 3;
    }
    return block;
  }

  void SetUp() override { weights_["linear"] = MadeMatrix("w", kOut, kIn); }

  Matrix Outputs(const Matrix& x, const Matrix& hidden) {
    Matrix y;
    cpu_.backend->Linear(x.view(), weights_.at("linear").view(), {}, y);
    if (GetParam()) {
      cpu_.backend->Add(y.view(), hidden.view(), y);
    }
    return y;
  }

  /// What a run of the float model on `float_x` and one of the quantized model on `x` tell.
  void Observe(const Matrix& float_x, const Matrix& expected, const Matrix& x,
               const Matrix& hidden) {
    const graph::Node& linear = block_.nodes.front();
    const graph::Node& last = block_.nodes.back();
    Matrix y;
    cpu_.backend->Linear(x.view(), weights_.at("linear").view(), {}, y);
    const std::vector<const Matrix*> float_inputs = {&float_x};
    drift_.ObserveFloat(last, float_inputs, expected);
    const std::vector<const Matrix*> inputs = {&x};
    drift_.ObserveDrifted(linear, inputs, y);
    if (GetParam()) {
      drift_.ObserveDrifted(last, {}, Outputs(x, hidden));
    }
  }

  double Correct(const Matrix& x) {
    const LayerTask task{&block_, &shape_, &options_,
                         [this](std::string_view) { return keeps_float_; }};
    std::map<graph::ValueId, InputStatistics> inputs;
    inputs[0] = testing::StatisticsOf(x);
    const auto shares = CorrectWeights(task, inputs, drift_.Take(), weights_, cpu_.machine);
    return shares.contains("linear") ? shares.at("linear") : 0.0;
  }

  double Error(const Matrix& expected, const Matrix& x, const Matrix& hidden) {
    const Matrix found = Outputs(x, hidden);
    double sum = 0.0;
    for (std::int64_t i = 0; i < found.rows() * found.columns(); ++i) {
      sum += std::pow(found.data()[i] - expected.data()[i], 2);
    }
    return sum;
  }

  /// What quantized layers might have made of x: something that depends on it, and some noise.
  static Matrix Drifted(const Matrix& x, const std::string& noise) {
    Matrix drifted = x;
    const Matrix random = MadeMatrix(noise, x.rows(), x.columns());
    for (std::int64_t r = 0; r < x.rows(); ++r) {
      for (std::size_t c = 0; c < static_cast<std::size_t>(x.columns()); ++c) {
        drifted.row(r)[c] += 0.1F * x.row(r)[(c + 5) % 32] + 0.01F * random.row(r)[c];
      }
    }
    return drifted;
  }

  graph::Block block_ = MakeBlock();
  model::ModelShape shape_;
  domain::QuantizeOptions options_;
  testing::CpuMachine cpu_;
  forward::BlockWeights weights_;
  bool keeps_float_ = false;
  DriftCollector drift_{*cpu_.backend, cpu_.kernels, block_};
};

TEST_P(Correcting, MakesGoodWhatTheInputTells) {
  const Matrix hidden = MadeMatrix("hidden", kTokens, kOut);
  const Matrix x = MadeInputs("x", kTokens, kIn);
  const Matrix drifted = Drifted(x, "noise");
  const Matrix expected = Outputs(x, hidden);
  Observe(x, expected, drifted, hidden);
  drift_.EndFirstHalf();
  const Matrix more = MadeInputs("more", kTokens, kIn);
  Observe(more, Outputs(more, hidden), Drifted(more, "other noise"), hidden);
  // Tokens that the correction has not seen.
  const Matrix unseen = MadeInputs("unseen", kTokens, kIn);
  const Matrix unseen_drifted = Drifted(unseen, "third noise");
  const Matrix unseen_expected = Outputs(unseen, hidden);
  const double before = Error(unseen_expected, unseen_drifted, hidden);
  EXPECT_GT(Correct(drifted), 0.9);
  EXPECT_LT(Error(unseen_expected, unseen_drifted, hidden), 0.1 * before);
}

TEST_P(Correcting, LeavesNoiseAlone) {
  const Matrix hidden = MadeMatrix("hidden", kTokens, kOut);
  const Matrix x = MadeInputs("x", kTokens, kIn);
  for (const char* half : {"first", "second"}) {
    Matrix float_x = x;
    cpu_.backend->Add(x.view(), MadeMatrix(half, kTokens, kIn).view(), float_x);
    Matrix expected = Outputs(x, hidden);
    cpu_.backend->Add(expected.view(), MadeMatrix(half, kTokens, kOut).view(), expected);
    Observe(float_x, expected, x, hidden);
    if (half == std::string_view("first")) {
      drift_.EndFirstHalf();
    }
  }
  EXPECT_LT(Correct(x), 0.2);
}

TEST_P(Correcting, NeedsTwoHalves) {
  const Matrix hidden = MadeMatrix("hidden", kTokens, kOut);
  const Matrix x = MadeInputs("x", kTokens, kIn);
  const Matrix expected = Outputs(x, hidden);
  Observe(x, expected, Drifted(x, "noise"), hidden);
  drift_.EndFirstHalf();
  const Matrix before = weights_.at("linear");
  EXPECT_EQ(Correct(x), 0.0);
  for (std::int64_t i = 0; i < kOut * kIn; ++i) {
    ASSERT_EQ(weights_.at("linear").data()[i], before.data()[i]);
  }
}

TEST_P(Correcting, DoesNotMoveWhatStaysInFloat) {
  const Matrix hidden = MadeMatrix("hidden", kTokens, kOut);
  const Matrix x = MadeInputs("x", kTokens, kIn);
  const Matrix expected = Outputs(x, hidden);
  keeps_float_ = true;
  for (int half = 0; half < 2; ++half) {
    Observe(x, expected, Drifted(x, "noise"), hidden);
    drift_.EndFirstHalf();
  }
  Observe(x, expected, Drifted(x, "noise"), hidden);
  const Matrix before = weights_.at("linear");
  EXPECT_EQ(Correct(x), 0.0);
  for (std::int64_t i = 0; i < kOut * kIn; ++i) {
    ASSERT_EQ(weights_.at("linear").data()[i], before.data()[i]);
  }
}

INSTANTIATE_TEST_SUITE_P(OutputsAndSums, Correcting, ::testing::Bool());

}  // namespace
}  // namespace tyllm::quant
