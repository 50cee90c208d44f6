// SPDX-License-Identifier: Apache-2.0
// What a machine whose sums round otherwise makes of a model: the same integers up to ties, where
// what is in front was quantized alike. The demo model, the default method, errors propagated.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "tests/support/paths.h"
#include "tests/worker/quant/cpu_machine.h"
#include "worker/forward/model.h"
#include "worker/quant/calibration_pass.h"
#include "worker/quant/calibration_samples.h"
#include "worker/quant/layer_output.h"
#include "worker/quant/layer_stages.h"
#include "worker/tensor/blas.h"
#include "worker/tensor/cpu_backend.h"

namespace tyllm::quant {
namespace {

using tensor::Matrix;
using tensor::MatrixView;

const Path kDemo = Path(testing::kSourceFolder) / "examples" / "models" / "demo-qwen3-4m";
const Path kText = Path(testing::kSourceFolder) / "data" / "wikitext-2" / "valid.txt";

/// Moves every number by up to 2^-17 of its row's root mean square, which is how far products of a
/// GPU may be off (docs/adr/0063). The same each time.
void Disturb(Matrix& matrix) {
  std::uint32_t state = 12345;
  for (std::int64_t r = 0; r < matrix.rows(); ++r) {
    double squares = 0.0;
    for (const float number : matrix.row(r)) {
      squares += static_cast<double>(number) * number;
    }
    const auto root = std::sqrt(squares / static_cast<double>(matrix.columns()));
    for (float& number : matrix.row(r)) {
      state = state * 1664525U + 1013904223U;
      const double noise = std::ldexp(static_cast<double>(state), -31) - 1.0;
      number += static_cast<float>(std::ldexp(noise * root, -17));
    }
  }
}

class DisturbedBackend final : public tensor::CpuBackend {
 public:
  explicit DisturbedBackend(int threads)
      : CpuBackend(threads, tensor::LoopsForThisProcessor(), tensor::kBlasProducts) {
    tensor::PrepareBlas();
  }

  void Linear(MatrixView x, MatrixView w, std::span<const float> bias, Matrix& out) override {
    CpuBackend::Linear(x, w, bias, out);
    Disturb(out);
  }

  void AccumulateGram(MatrixView x, Matrix& gram) override {
    Matrix more(gram.rows(), gram.columns());
    CpuBackend::AccumulateGram(x, more);
    Disturb(more);
    for (std::int64_t r = 0; r < more.rows(); ++r) {
      for (std::int64_t c = 0; c < r; ++c) {
        more.row(r)[static_cast<std::size_t>(c)] = more.row(c)[static_cast<std::size_t>(r)];
      }
    }
    Add(gram.view(), more.view(), gram);
  }
};

class DisturbedKernels final : public CpuLayerKernels {
 public:
  using CpuLayerKernels::CpuLayerKernels;

  void AddProduct(MatrixView a, MatrixView b, Matrix& sum) override {
    Matrix more(sum.rows(), sum.columns());
    CpuLayerKernels::AddProduct(a, b, more);
    Disturb(more);
    for (std::int64_t i = 0; i < sum.rows() * sum.columns(); ++i) {
      sum.data()[i] += more.data()[i];
    }
  }
};

struct DisturbedMachine {
  DisturbedBackend backend{2};
  tensor::TaskLanes lanes{2};
  DisturbedKernels kernels{lanes};
  LayerMachine machine{backend, kernels};
};

domain::QuantizeOptions Options() {
  domain::QuantizeOptions options;
  options.samples = 16;  // two batches, both of them followed
  options.seq_len = 512;
  return options;
}

/// The quantized stages of a model, in their order.
using Stages = std::vector<QuantizedLayer>;

/// Quantizes one stage after another; each makes good what those of `before` lost or, where there
/// are none, what this machine's own did.
Stages QuantizeStages(const LayerMachine& machine, const Stages* before) {
  const domain::QuantizeOptions options = Options();
  const forward::Model model = *forward::OpenModel(kDemo);
  const model::Tokenizer tokenizer = *model::Tokenizer::Load(kDemo);
  CalibrationPass pass({machine}, model.shape(), {1.0, options.follows_quantized()});
  EXPECT_TRUE(pass.Start(model.graph.embedding, model.checkpoint,
                         ReadCalibration(kDemo, tokenizer, kText, options)->batches)
                  .ok());
  Stages stages;
  for (const graph::Block& layer : model.graph.layers) {
    for (const graph::Block& stage : StagesOf(layer)) {
      std::vector<forward::BlockWeights> weights;
      weights.push_back(*forward::LoadBlock(machine.backend, model.checkpoint, stage));
      LayerStatistics statistics = *pass.RunStage(stage, weights, {});
      const LayerTask task{&stage, &model.shape(), &options, [](auto) { return false; }};
      stages.push_back(
          QuantizeLayer(task, std::move(statistics), std::move(weights.front()), machine));
      const QuantizedLayer& followed =
          before != nullptr ? (*before)[stages.size() - 1] : stages.back();
      std::vector<forward::BlockWeights> written;
      written.push_back(WrittenWeights(followed, machine));
      EXPECT_TRUE(pass.Follow(stage, written).ok());
    }
    pass.EndLayer();
  }
  return stages;
}

const LinearReport& ReportOf(const QuantizedLayer& stage, const std::string& linear) {
  return *std::ranges::find(stage.reports, linear, &LinearReport::name);
}

std::int64_t Differing(const model::QuantizedMatrix& a, const model::QuantizedMatrix& b) {
  std::int64_t differing = 0;
  for (std::size_t i = 0; i < a.q.size(); ++i) {
    differing += a.q[i] != b.q[i] ? 1 : 0;
  }
  return differing;
}

struct Difference {
  std::int64_t codes = 0;
  std::int64_t of = 0;
  std::int64_t scales = 0;  ///< linears that got other scales

  double share() const { return static_cast<double>(codes) / static_cast<double>(of); }
};

/// A tie in a row moves what the columns behind it make good, and so up to a third of the row's
/// codes, to others that are as good: few rows, and the same error. A tie of two candidates for
/// scales moves all rows of the linears that share them, to an error that need not be that near.
Difference Compare(const Stages& expected, const Stages& found) {
  Difference all;
  for (std::size_t s = 0; s < expected.size(); ++s) {
    for (const auto& [name, matrix] : expected[s].linears) {
      const LinearReport& report = ReportOf(expected[s], name);
      const LinearReport& other = ReportOf(found[s], name);
      EXPECT_NEAR(other.correction, report.correction, 0.001) << name;
      if (other.scale_formula != report.scale_formula || other.scale_ratio != report.scale_ratio) {
        EXPECT_NEAR(other.error, report.error, 0.05 * report.error) << name;
        ++all.scales;
        continue;
      }
      EXPECT_NEAR(other.error, report.error, 0.01 * report.error) << name;
      const std::int64_t codes = Differing(found[s].linears.at(name), matrix);
      EXPECT_LT(codes, std::ssize(matrix.q) / 10) << name;
      all.codes += codes;
      all.of += std::ssize(matrix.q);
    }
  }
  return all;
}

void ExpectSameUpToTies(const LayerMachine& machine) {
  testing::CpuMachine cpu;
  const Stages on_cpu = QuantizeStages(cpu.machine, nullptr);
  const Difference difference = Compare(on_cpu, QuantizeStages(machine, &on_cpu));
  ::testing::Test::RecordProperty("share", std::to_string(difference.share()));
  EXPECT_LT(difference.share(), 0.01);
  EXPECT_LE(difference.scales, 3);  // of 28 linears: one choice, for q, k and v
}

TEST(SameStagesBefore, GiveTheSameIntegersUpToTiesWhenSumsRoundOtherwise) {
  DisturbedMachine other;
  ExpectSameUpToTies(other.machine);
}

TEST(SameStagesBefore, GiveTheSameIntegersUpToTiesOnAGpu) {
  const auto gpu = tensor::MakeBackend("cuda:0");
  if (!gpu.ok()) {
    GTEST_SKIP() << gpu.status().message();
  }
  ExpectSameUpToTies({**gpu, dynamic_cast<LayerKernels&>(**gpu)});
}

}  // namespace
}  // namespace tyllm::quant
