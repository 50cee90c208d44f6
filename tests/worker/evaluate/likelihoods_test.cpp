// SPDX-License-Identifier: Apache-2.0
// Log-likelihoods of the batched pass against logits of `tyllm evaluate --dump`, text by text.
#include "worker/evaluate/likelihoods.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "common/format/safetensors.h"
#include "tests/support/paths.h"
#include "tests/support/temporary_directory.h"
#include "worker/evaluate/dump.h"
#include "worker/evaluate/text_batches.h"

namespace tyllm::evaluate {
namespace {

const Path kDemo = Path(testing::kSourceFolder) / "examples" / "models" / "demo-qwen3-4m";

/// Deterministic token ids below 4096.
std::vector<std::int32_t> MadeIds(std::uint64_t seed, std::size_t count) {
  std::vector<std::int32_t> ids;
  for (std::size_t i = 0; i < count; ++i) {
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    ids.push_back(static_cast<std::int32_t>((seed >> 33U) % 4096U));
  }
  return ids;
}

/// Texts of groups with a long, a short and no common beginning, of different lengths.
std::vector<ScoredText> MadeTexts() {
  std::vector<ScoredText> texts;
  const std::size_t shared[] = {50, 5, 0};
  for (std::int64_t group = 0; group < 3; ++group) {
    for (std::uint64_t i = 0; i < 4; ++i) {
      std::vector<std::int32_t> ids = MadeIds(static_cast<std::uint64_t>(group), shared[group]);
      const auto own = MadeIds(100 + i * 7 + static_cast<std::uint64_t>(group), 9 + 11 * (3 - i));
      ids.insert(ids.end(), own.begin(), own.end());
      const auto last = static_cast<std::int64_t>(ids.size()) - 1;
      texts.push_back({.ids = std::move(ids),
                       .targets = {{last - 3, 17}, {last, 65}, {last, 66}, {last, 4095}},
                       .group = group});
    }
  }
  return texts;
}

/// log softmax in double of the dumped logits.
double Expected(const ScoredText& text, const ScoredText::Target& target) {
  const testing::TemporaryDirectory directory;
  const Path file = directory / "dump.safetensors";
  EXPECT_TRUE(Dump({.model = kDemo,
                    .ids = {text.ids.begin(), text.ids.end()},
                    .file = file,
                    .device = "cpu"},
                   LocalFileSystem())
                  .ok());
  const auto dump = *format::SafetensorsFile::Open(file);
  const std::vector<float> logits = *format::ToFloats("logits", dump.tensors().at("logits"));
  const std::size_t vocabulary = logits.size() / text.ids.size();
  const float* row = logits.data() + static_cast<std::size_t>(target.row) * vocabulary;
  double sum = 0.0;
  for (std::size_t i = 0; i < vocabulary; ++i) {
    sum += std::exp(static_cast<double>(row[i]));
  }
  return static_cast<double>(row[target.token]) - std::log(sum);
}

TEST(LogLikelihoods, AreThoseOfTheDumpedLogitsWhateverTheBatch) {
  const auto model = *forward::OpenModel(kDemo);
  const auto backend = *tensor::MakeBackend("cpu", 2);
  const std::vector<ScoredText> texts = MadeTexts();
  std::int64_t told = 0;
  const auto found =
      LogLikelihoods(model, *backend, texts, [&](std::int64_t count) { told += count; });
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  ASSERT_EQ(found->size(), texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    for (std::size_t t = 0; t < texts[i].targets.size(); ++t) {
      EXPECT_NEAR((*found)[i][t], Expected(texts[i], texts[i].targets[t]), 2e-4)
          << "text " << i << " target " << t;
    }
  }
  EXPECT_EQ(told, ScoringBlocks(model) * static_cast<std::int64_t>(texts.size()));
}

TEST(LogLikelihoods, DoNotDependOnTheNumberOfThreads) {
  const auto model = *forward::OpenModel(kDemo);
  const std::vector<ScoredText> texts = MadeTexts();
  const auto one =
      LogLikelihoods(model, **tensor::MakeBackend("cpu", 1), texts, [](std::int64_t) {});
  const auto four =
      LogLikelihoods(model, **tensor::MakeBackend("cpu", 4), texts, [](std::int64_t) {});
  EXPECT_EQ(*one, *four);
}

TEST(CutTexts, AGroupSharesALongBeginningInFrontOfItsTargets) {
  const auto groups = CutTexts(MadeTexts(), 2048);
  ASSERT_EQ(groups.size(), 3U);
  EXPECT_EQ(groups[0].beginning.size(), 50U);
  EXPECT_TRUE(groups[1].beginning.empty()) << "too short to be worth a run";
  EXPECT_TRUE(groups[2].beginning.empty());
  std::vector<ScoredText> early = MadeTexts();
  early[2].targets.front().row = 40;
  EXPECT_EQ(CutTexts(early, 2048)[0].beginning.size(), 40U);
}

TEST(CutTexts, BatchesKeepToTheirSizeAndHaveEveryTextOnce) {
  const std::vector<ScoredText> texts = MadeTexts();
  std::vector<std::size_t> seen;
  for (const TextGroup& group : CutTexts(texts, 60)) {
    for (const TextBatch& batch : group.batches) {
      EXPECT_TRUE(batch.texts.size() == 1 || batch.tokens.sequences * batch.tokens.length <= 60);
      EXPECT_EQ(static_cast<std::int64_t>(batch.tokens.ids.size()),
                batch.tokens.sequences * batch.tokens.length);
      seen.insert(seen.end(), batch.texts.begin(), batch.texts.end());
    }
  }
  std::ranges::sort(seen);
  ASSERT_EQ(seen.size(), texts.size());
  for (std::size_t i = 0; i < seen.size(); ++i) {
    EXPECT_EQ(seen[i], i);
  }
}

TEST(Likelihoods, OfATokenThatTheModelHasNotGotAreRefused) {
  const forward::Model model = *forward::OpenModel(kDemo);
  const auto backend = *tensor::MakeBackend("cpu", 1);
  const auto vocabulary = static_cast<std::int32_t>(model.shape().vocabulary);
  for (const std::int32_t token : {-1, vocabulary, 1 << 30}) {
    const std::vector<ScoredText> texts = {{.ids = {5, 6}, .targets = {{1, 7}, {1, token}}}};
    const auto scores = LogLikelihoods(model, *backend, texts, [](std::int64_t) {});
    ASSERT_EQ(scores.status().code(), StatusCode::kInvalidArgument);
    const std::string& message = scores.status().message();
    EXPECT_NE(message.find("has id " + std::to_string(token)), std::string::npos) << message;
    EXPECT_NE(message.find("the model's own tokenizer"), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace tyllm::evaluate
