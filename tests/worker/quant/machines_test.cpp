// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/machines.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "tests/support/temporary_directory.h"
#include "tests/worker/quant/cpu_machine.h"
#include "tests/worker/quant/made_model.h"
#include "worker/forward/model.h"
#include "worker/quant/calibration_pass.h"
#include "worker/quant/layer_output.h"
#include "worker/quant/layer_stages.h"

namespace tyllm::quant {
namespace {

/// Statistics of all stages of the small model with so many machines, which follow its layers
/// rounded to the nearest.
std::vector<LayerStatistics> Calibrate(const Path& directory,
                                       const std::vector<LayerMachine>& machines) {
  const forward::Model model = *forward::OpenModel(directory);
  CalibrationPass pass(machines, model.shape(), {1.0, true});
  std::vector<forward::TokenBatch> batches;
  for (std::int32_t b = 0; b < 5; ++b) {
    forward::TokenBatch batch{.sequences = 2, .length = 16, .ids = {}};
    for (std::int32_t i = 0; i < 32; ++i) {
      batch.ids.push_back((b * 7 + i * 5) % static_cast<std::int32_t>(model.shape().vocabulary));
    }
    batches.push_back(batch);
  }
  const auto weights = [&](const graph::Block& block) {
    std::vector<forward::BlockWeights> all;
    for (const LayerMachine& machine : machines) {
      all.push_back(*forward::LoadBlock(machine.backend, model.checkpoint, block));
    }
    return all;
  };
  EXPECT_TRUE(pass.Start(model.graph.embedding, model.checkpoint, batches).ok());
  std::vector<LayerStatistics> statistics;
  domain::QuantizeOptions options;
  options.group_size = 32;
  for (const graph::Block& layer : model.graph.layers) {
    for (const graph::Block& stage : StagesOf(layer)) {
      statistics.push_back(*pass.RunStage(stage, weights(stage), {}));
      const LayerTask task{&stage, &model.shape(), &options, [](auto) { return false; }};
      const QuantizedLayer coded =
          RoundLayer(task, std::move(weights(stage).front()), machines.front());
      std::vector<forward::BlockWeights> written;
      for (const LayerMachine& machine : machines) {
        written.push_back(WrittenWeights(coded, machine));
      }
      EXPECT_TRUE(pass.Follow(stage, written).ok());
    }
    pass.EndLayer();
  }
  EXPECT_TRUE(statistics.front().drift.empty());
  EXPECT_FALSE(statistics.back().drift.outputs.empty());
  EXPECT_FALSE(statistics.back().drift.inputs.empty());
  return statistics;
}

void ExpectEqual(const std::vector<double>& a, const std::vector<double>& b, double relative) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    ASSERT_NEAR(a[i], b[i], relative * a[i]) << i;
  }
}

/// Equal up to `relative` of the largest number.
void ExpectNear(const tensor::Matrix& a, const tensor::Matrix& b, double relative) {
  ASSERT_EQ(a.rows(), b.rows());
  const std::span numbers(a.data(), static_cast<std::size_t>(a.rows() * a.columns()));
  const auto [smallest, largest] = std::ranges::minmax(numbers);
  const double scale = std::max(std::fabs(smallest), std::fabs(largest));
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    ASSERT_NEAR(numbers[i], b.data()[i], 20.0 * relative * scale) << i;
  }
}

template <typename Drifts>
void ExpectSameDrift(const Drifts& a, const Drifts& b, tensor::Backend& backend, double relative) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, drift] : a) {
    const auto& other = b.at(name);
    EXPECT_EQ(drift.tokens, other.tokens);
    EXPECT_EQ(drift.first_tokens, other.first_tokens);
    EXPECT_GT(drift.tokens, drift.first_tokens);
    ExpectNear(backend.Fetch(drift.sum.view()), backend.Fetch(other.sum.view()), relative);
    ExpectNear(backend.Fetch(drift.first_sum.view()), backend.Fetch(other.first_sum.view()),
               relative);
  }
}

/// Equal up to `relative`: 0 asks for the same bits.
void ExpectSame(const std::vector<LayerStatistics>& a, const std::vector<LayerStatistics>& b,
                tensor::Backend& backend, double relative) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t k = 0; k < a.size(); ++k) {
    ASSERT_EQ(a[k].inputs.size(), b[k].inputs.size());
    for (const auto& [value, input] : a[k].inputs) {
      const InputStatistics& other = b[k].inputs.at(value);
      ExpectEqual({input.mean_abs.begin(), input.mean_abs.end()},
                  {other.mean_abs.begin(), other.mean_abs.end()}, relative);
      const tensor::Matrix gram = backend.Fetch(input.gram.view());
      const tensor::Matrix other_gram = backend.Fetch(other.gram.view());
      for (std::int64_t i = 0; i < gram.rows() * gram.columns(); ++i) {
        ASSERT_NEAR(gram.data()[i], other_gram.data()[i], 50.0 * relative) << i;
      }
    }
    ExpectSameDrift(a[k].drift.outputs, b[k].drift.outputs, backend, relative);
    ExpectSameDrift(a[k].drift.inputs, b[k].drift.inputs, backend, relative);
    for (const auto& [value, gate] : a[k].gates) {
      ExpectEqual(gate.gate, b[k].gates.at(value).gate, relative);
      ExpectEqual(gate.up, b[k].gates.at(value).up, relative);
    }
  }
}

TEST(SeveralMachines, GiveTheStatisticsOfOne) {
  constexpr double kRounding = 1e-6;  // a CPU adds rows, and not batches, to its sums
  const testing::TemporaryDirectory folder;
  testing::WriteModel(testing::SmallModel(), folder / "model");
  std::vector<std::unique_ptr<testing::CpuMachine>> cpus;
  std::vector<LayerMachine> machines;
  for (int i = 0; i < 3; ++i) {
    cpus.push_back(std::make_unique<testing::CpuMachine>());
    machines.push_back(cpus.back()->machine);
  }
  const auto one = Calibrate(folder / "model", {machines[0]});
  ExpectSame(one, Calibrate(folder / "model", {machines[0], machines[1]}), *cpus[0]->backend,
             kRounding);
  ExpectSame(one, Calibrate(folder / "model", machines), *cpus[0]->backend, kRounding);
}

TEST(SeveralMachines, OnTwoGpusBitByBit) {
  const testing::TemporaryDirectory folder;
  testing::WriteModel(testing::SmallModel(), folder / "model");
  tensor::TaskLanes lanes(1);
  const auto both = Machines::Make("cuda:0,cuda:1", 1, lanes);
  if (!both.ok()) {
    GTEST_SKIP() << both.status().message();
  }
  const auto one = Calibrate(folder / "model", {both->first()});
  ExpectSame(one, Calibrate(folder / "model", both->all()), both->first().backend, 0.0);
}

TEST(SeveralMachines, AreDifferentGpus) {
  tensor::TaskLanes lanes(1);
  EXPECT_TRUE(Machines::Make("cpu", 1, lanes).ok());
  for (const char* devices : {"cpu,cpu", "cpu,", "", ",cpu", "cpu,gpu"}) {
    EXPECT_EQ(Machines::Make(devices, 1, lanes).status().code(), StatusCode::kInvalidArgument)
        << devices;
  }
}

TEST(Machines, ThatDoNotTakeAGroupAreNamedOrNotTaken) {
  tensor::TaskLanes lanes(1);
  constexpr std::int64_t kGroup = 16;
  EXPECT_TRUE(Machines::Make("cpu", 1, lanes, kGroup).ok());
  const auto chosen = Machines::Make("auto", 1, lanes, kGroup);
  ASSERT_TRUE(chosen.ok());
  EXPECT_EQ(chosen->name(), "cpu");
  if (const auto gpu = Machines::Make("cuda:0", 1, lanes); !gpu.ok()) {
    GTEST_SKIP() << gpu.status().message();
  }
  const Status refused = Machines::Make("cuda:0", 1, lanes, kGroup).status();
  EXPECT_EQ(refused.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(refused.message().find("group_size is 16, cuda:0"), std::string::npos);
}

}  // namespace
}  // namespace tyllm::quant
