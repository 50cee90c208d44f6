// SPDX-License-Identifier: Apache-2.0
// The whole float path against what transformers computes from the same stored weights.
#include "tests/worker/forward/golden.h"

#include <gtest/gtest.h>

#include "common/format/float16.h"
#include "worker/forward/generator.h"
#include "worker/forward/streamed_pass.h"

namespace tyllm::forward {
namespace {

using testing::Golden;
using testing::MaxDifference;

class Goldens : public ::testing::TestWithParam<const char*> {};

/// Largest differences from a golden, over everything that it holds.
struct Differences {
  std::vector<float> hidden;
  float logits = 0.0F;
};

Differences Compare(const Golden& golden, BlockRunner& runner) {
  Differences found;
  const TokenBatch batch{.sequences = 1, .length = 40, .ids = golden.Ids("input_ids")};
  const auto compare = [&](const tensor::Matrix& hidden) {
    const std::string name = "hidden." + std::to_string(found.hidden.size());
    found.hidden.push_back(MaxDifference(hidden.data(), golden.Floats(name)));
  };
  const auto body = *RunBody(golden.model, runner, {&batch, 1},
                             [&](std::int64_t block, std::int64_t, const tensor::Matrix& hidden) {
                               if (block < golden.model.shape().layers) {
                                 compare(hidden);
                               }
                             });
  const Head head = *Head::Load(golden.model);
  const auto logits = *head.Logits(runner, body.front(), 0, 40,
                                   [&](const graph::Node& node, auto, const tensor::Matrix& out) {
                                     if (node.op == graph::Op::kRmsNorm) {
                                       compare(out);
                                     }
                                   });
  found.logits = MaxDifference(logits.data(), golden.Floats("logits"));
  return found;
}

/// The goldens' maker held its rotary frequencies in the 16-bit type of the weights (a PyTorch
/// model cast as a whole). A model loaded from a file has them in float32, so ours do.
std::vector<float> RoundedFrequencies(const Golden& golden) {
  std::vector<float> frequencies = model::RopeFrequencies(golden.model.shape());
  const bool bfloat16 =
      golden.model.checkpoint.Find("model.norm.weight")->dtype == format::DType::kBF16;
  for (float& f : frequencies) {
    f = bfloat16 ? format::BFloat16ToFloat(format::FloatToBFloat16(f))
                 : format::HalfToFloat(format::FloatToHalf(f));
  }
  return frequencies;
}

TEST_P(Goldens, WithTheGoldensFrequenciesAllHiddenStatesAndLogitsAgree) {
  const Golden golden = Golden::Open(GetParam());
  const auto backend = *tensor::MakeBackend("cpu", 2);
  BlockRunner runner(*backend, golden.model.shape(), RoundedFrequencies(golden));
  const Differences found = Compare(golden, runner);
  ASSERT_EQ(found.hidden.size(), 3U);
  for (const float difference : found.hidden) {
    EXPECT_LT(difference, 1e-5F);
  }
  EXPECT_LT(found.logits, 1e-4F);
}

TEST_P(Goldens, WithExactFrequenciesTheyAreStillNear) {
  const Golden golden = Golden::Open(GetParam());
  const auto backend = *tensor::MakeBackend("cpu", 2);
  BlockRunner runner(*backend, golden.model.shape());
  const Differences found = Compare(golden, runner);
  for (const float difference : found.hidden) {
    EXPECT_LT(difference, 2e-3F);
  }
  EXPECT_LT(found.logits, 1e-2F);  // of logits as large as 76
}

TEST_P(Goldens, GreedyTokensAreTheSame) {
  const Golden golden = Golden::Open(GetParam());
  const std::vector<std::int32_t> ids = golden.Ids("greedy_ids");
  const auto backend = *tensor::MakeBackend("cpu", 2);
  Generator generator(golden.model, *backend);
  const auto generated =
      generator.Greedy({.prompt = {ids.begin(), ids.begin() + 16}, .max_tokens = 24, .stop = {}});
  ASSERT_TRUE(generated.ok()) << generated.status().ToString();
  EXPECT_EQ(*generated, std::vector<std::int32_t>(ids.begin() + 16, ids.end()));
}

INSTANTIATE_TEST_SUITE_P(TextModels, Goldens,
                         ::testing::Values("tiny-qwen3", "tiny-qwen3-newstyle-config"),
                         [](const auto& instance) {
                           return std::string(instance.param) == "tiny-qwen3" ? "Qwen3"
                                                                              : "Qwen3NewStyle";
                         });

}  // namespace
}  // namespace tyllm::forward
