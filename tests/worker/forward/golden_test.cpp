// SPDX-License-Identifier: Apache-2.0
// The whole float path against what transformers computes from the same stored weights.
#include "tests/worker/forward/golden.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "tests/support/temporary_directory.h"
#include "worker/forward/generator.h"
#include "worker/forward/streamed_pass.h"

namespace tyllm::forward {
namespace {

using testing::Golden;
using testing::MaxDifference;
using testing::RoundedFrequencies;

class Goldens : public ::testing::TestWithParam<const char*> {};

/// Largest differences from a golden, over everything that it holds.
struct Differences {
  std::vector<float> hidden;
  float logits = 0.0F;
  float nll = 0.0F;
};

/// Of each token but the first, given those before it.
std::vector<float> NegativeLogLikelihoods(const tensor::Matrix& logits,
                                          const std::vector<std::int32_t>& ids) {
  std::vector<float> nll;
  for (std::int64_t t = 0; t + 1 < logits.rows(); ++t) {
    double sum = 0.0;
    for (const float logit : logits.row(t)) {
      sum += std::exp(static_cast<double>(logit));
    }
    const auto next = static_cast<std::size_t>(ids[static_cast<std::size_t>(t + 1)]);
    nll.push_back(static_cast<float>(std::log(sum) - logits.row(t)[next]));
  }
  return nll;
}

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
  found.nll = MaxDifference(NegativeLogLikelihoods(logits, batch.ids).data(), golden.Floats("nll"));
  return found;
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
  EXPECT_LT(found.nll, 1e-4F);
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
  EXPECT_LT(found.nll, 1e-2F);
}

TEST_P(Goldens, GreedyTokensAreTheSame) {
  const Golden golden = Golden::Open(GetParam());
  const std::vector<std::int32_t> ids = golden.Ids("greedy_ids");
  const auto backend = *tensor::MakeBackend("cpu", 2);
  Generator generator(golden.model, *backend);
  const auto generated =
      generator.Generate({.prompt = {ids.begin(), ids.begin() + 16}, .max_tokens = 24, .stop = {}});
  ASSERT_TRUE(generated.ok()) << generated.status().ToString();
  EXPECT_EQ(*generated, std::vector<std::int32_t>(ids.begin() + 16, ids.end()));
}

TEST_P(Goldens, GreedyTokensAreTheSameWithTheOtherFormOfTheConfiguration) {
  const Golden golden = Golden::Open(GetParam());
  const tyllm::testing::TemporaryDirectory folder;
  const format::Json other = testing::InOtherForm(golden.model.checkpoint.config());
  EXPECT_NE(other.contains("rope_parameters"),
            golden.model.checkpoint.config().contains("rope_parameters"));
  ASSERT_TRUE(
      WriteFileAtomically(LocalFileSystem(), folder / "config.json", format::PrettyJson(other))
          .ok());
  std::filesystem::create_symlink(golden.directory / "model.safetensors",
                                  folder / "model.safetensors");
  const auto model = OpenModel(folder.path());
  ASSERT_TRUE(model.ok()) << model.status().ToString();
  const std::vector<std::int32_t> ids = golden.Ids("greedy_ids");
  const auto backend = *tensor::MakeBackend("cpu", 2);
  Generator generator(*model, *backend);
  const auto generated =
      generator.Generate({.prompt = {ids.begin(), ids.begin() + 16}, .max_tokens = 24, .stop = {}});
  ASSERT_TRUE(generated.ok()) << generated.status().ToString();
  EXPECT_EQ(*generated, std::vector<std::int32_t>(ids.begin() + 16, ids.end()));
}

INSTANTIATE_TEST_SUITE_P(TextModels, Goldens,
                         ::testing::Values("tiny-qwen3", "tiny-qwen3-newstyle-config", "tiny-qwen2",
                                           "tiny-qwen1.5", "tiny-llama3", "tiny-llama3.1",
                                           "tiny-mistral"),
                         [](const auto& instance) {
                           std::string name(instance.param);
                           std::erase_if(name, [](char c) { return std::isalnum(c) == 0; });
                           return name;
                         });

}  // namespace
}  // namespace tyllm::forward
