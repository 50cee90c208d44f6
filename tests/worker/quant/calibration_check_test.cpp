// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/calibration_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/worker/quant/cpu_machine.h"
#include "worker/quant/input_metric.h"

namespace tyllm::quant {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TEST(CheckingCalibration, NamesTheTokenWhoseRowOfTheTableIsNotFinite) {
  testing::CpuMachine cpu;
  const forward::TokenBatch batch{.sequences = 1, .length = 3, .ids = {7, 8, 9}};
  tensor::Matrix hidden(3, 4);
  EXPECT_TRUE(CheckEmbedded("embed", batch, hidden, cpu.machine).ok());
  hidden.row(1)[2] = kNan;
  const Status status = CheckEmbedded("embed", batch, hidden, cpu.machine);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("'embed'"), HasSubstr("token 8")));
}

TEST(CheckingCalibration, NamesTheLayerThatReadsWhatIsNotFinite) {
  testing::CpuMachine cpu;
  graph::Block stage;
  stage.nodes.push_back({graph::Op::kLinear, {5}, 6, "q_proj", ""});
  LayerStatistics statistics;
  statistics.inputs[5].gram = tensor::Matrix(2, 2);
  EXPECT_TRUE(CheckStatistics(stage, statistics, cpu.machine).ok());
  statistics.inputs[5].gram.row(1)[1] = std::numeric_limits<float>::infinity();
  const Status status = CheckStatistics(stage, statistics, cpu.machine);
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_THAT(status.message(), HasSubstr("'q_proj'"));
}

TEST(CheckingCalibration, FactoringWhatIsNotFiniteEnds) {
  tensor::TaskLanes lanes(1);
  tensor::Matrix gram(2, 2);
  for (const float bad : {kNan, std::numeric_limits<float>::infinity()}) {
    gram.row(0)[0] = bad;
    EXPECT_EQ(DampedFactor(gram, lanes).row(1)[1], 1.0F);
  }
}

}  // namespace
}  // namespace tyllm::quant
