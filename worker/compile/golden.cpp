// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/golden.h"

#include <algorithm>

#include "worker/compile/tokenizer_files.h"
#include "worker/simulator/reference.h"
#include "worker/simulator/stepped_rows.h"

namespace tyllm::compile {
namespace {

/// Logits that are kept: two rows of the largest vocabularies, of smaller ones all.
constexpr std::int64_t kLogits = 400'000;

/// Numbers that look random and are always the same (splitmix64).
std::vector<std::int32_t> ScatteredTokens(std::int64_t count, std::int64_t vocabulary) {
  std::vector<std::int32_t> tokens;
  std::uint64_t state = 1;
  for (std::int64_t i = 0; i < count; ++i) {
    state += 0x9E3779B97F4A7C15U;
    std::uint64_t x = state;
    x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9U;
    x = (x ^ (x >> 27U)) * 0x94D049BB133111EBU;
    x ^= x >> 31U;
    tokens.push_back(static_cast<std::int32_t>(x % static_cast<std::uint64_t>(vocabulary)));
  }
  return tokens;
}

Result<std::vector<std::int32_t>> SampleTokens(const forward::Model& model, std::int64_t count) {
  const Path& directory = model.checkpoint.directory();
  TYLLM_ASSIGN(const std::optional<model::Tokenizer> tokenizer, LoadTokenizer(directory));
  if (!tokenizer) {
    return ScatteredTokens(count, model.shape().vocabulary);
  }
  TYLLM_ASSIGN(std::vector<std::int32_t> text,
               EncodeFor(*tokenizer, kGoldenText, model.shape().vocabulary, directory));
  const std::size_t once = text.size();
  if (once == 0) {
    return ScatteredTokens(count, model.shape().vocabulary);
  }
  for (std::size_t i = 0; std::ssize(text) < count; ++i) {
    text.push_back(text[i % once]);
  }
  text.resize(static_cast<std::size_t>(count));
  return text;
}

/// Tokens that the text is continued with: fewer for large models, whose every token takes seconds.
std::int64_t GreedyTokens(const model::ModelShape& shape, std::int64_t max_tokens) {
  constexpr std::int64_t kParametersToRead = 4'000'000'000;
  return std::clamp<std::int64_t>(kParametersToRead / shape.parameters(), 1,
                                  std::clamp<std::int64_t>(max_tokens / 2, 1, kMostGreedyTokens));
}

/// How much is kept.
struct Extent {
  std::int64_t tokens = 0;
  std::int64_t rows = 0;  ///< of logits, whole
  std::int64_t greedy = 0;
};

Extent ExtentOf(const model::ModelShape& shape, std::int64_t max_tokens) {
  const std::int64_t greedy = GreedyTokens(shape, max_tokens);
  const std::int64_t tokens = std::clamp<std::int64_t>(max_tokens - greedy, 1, kMostGoldenTokens);
  const std::int64_t rows =
      std::clamp<std::int64_t>(kLogits / shape.vocabulary, 2, kMostGoldenTokens);
  return {tokens, std::min(rows, tokens), greedy};
}

}  // namespace

Status WriteGolden(FileSystem& files, const forward::Model& model, std::int64_t max_tokens,
                   const simulator::Rounding& rounding, int jobs, const Path& path,
                   domain::ProgressSink& progress) {
  const Extent extent = ExtentOf(model.shape(), max_tokens);
  TYLLM_ASSIGN(const std::vector<std::int32_t> tokens, SampleTokens(model, extent.tokens));
  ThreadPool pool(jobs);
  TYLLM_ASSIGN(const simulator::Golden golden,
               simulator::RunReference(model, {tokens, extent.rows, extent.greedy, rounding}, pool,
                                       progress));
  return simulator::WriteGoldenFile(files, path, golden);
}

std::int64_t GoldenBytes(const model::ModelShape& shape, std::int64_t max_tokens) {
  constexpr std::int64_t kNumberBytes = 4;
  const Extent extent = ExtentOf(shape, max_tokens);
  const std::int64_t top = std::min(simulator::kTopLogits, shape.vocabulary);
  const std::int64_t of_token = 3 + 2 * top;  // itself, the best one after it, the sum
  const std::int64_t segments = 1 + 2 * shape.layers;
  const std::int64_t of_row =
      2 * shape.vocabulary + 2 * kNumberBytes * simulator::StepBlocks(shape.vocabulary);
  return extent.rows * of_row +
         kNumberBytes * (extent.tokens * of_token + extent.greedy + segments * shape.width);
}

}  // namespace tyllm::compile
