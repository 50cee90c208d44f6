// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/golden.h"

#include <gtest/gtest.h>

#include <optional>

#include "common/format/safetensors.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::simulator {
namespace {

constexpr std::int64_t kVocabulary = 5;

/// A golden file of `tokens` tokens and `rows` rows of `columns` logits.
Path WriteGolden(const Path& path, std::int64_t tokens, std::int64_t rows, std::int64_t columns,
                 format::DType ids = format::DType::kI32,
                 std::optional<std::int64_t> log_sums = std::nullopt) {
  const std::int64_t sums = log_sums.value_or(tokens);
  const std::vector<format::TensorSpec> specs = {{"token_ids", ids, {tokens}},
                                                 {"logits", format::DType::kF32, {rows, columns}},
                                                 {"best_ids", format::DType::kI32, {tokens}},
                                                 {"greedy_ids", format::DType::kI32, {2}},
                                                 {"segments", format::DType::kF32, {3, 4}},
                                                 {"top_ids", format::DType::kI32, {tokens, 2}},
                                                 {"top_logits", format::DType::kF32, {tokens, 2}},
                                                 {"log_sums", format::DType::kF32, {sums}}};
  auto writer = format::SafetensorsWriter::Create(LocalFileSystem(), path, specs);
  EXPECT_TRUE(writer.ok());
  for (const format::TensorSpec& spec : specs) {
    const std::vector<std::byte> zeros(spec.bytes());
    EXPECT_TRUE(writer->Write(spec.name, zeros).ok());
  }
  EXPECT_TRUE(writer->Finish().ok());
  return path;
}

TEST(ReadGolden, GivesTokensAndTheLastRowsOfLogits) {
  const testing::TemporaryDirectory directory;
  const auto golden =
      ReadGolden(WriteGolden(directory / "golden.safetensors", 7, 3, kVocabulary), kVocabulary);
  ASSERT_TRUE(golden.ok()) << golden.status().ToString();
  EXPECT_EQ(golden->tokens.size(), 7U);
  EXPECT_EQ(golden->rows, 3);
  EXPECT_EQ(golden->Row(2).size(), 5U);
  EXPECT_EQ(golden->best.size(), 7U);
  EXPECT_EQ(golden->greedy.size(), 2U);
  EXPECT_EQ(golden->segment_count(), 3);
  EXPECT_EQ(golden->Segment(2).size(), 4U);
}

TEST(ReadGolden, GivesWhatWasWritten) {
  const testing::TemporaryDirectory directory;
  const Golden golden{.tokens = {1, 2},
                      .rows = 1,
                      .vocabulary = 3,
                      .logits = {0.5F, 1, 2},
                      .best = {2, 2},
                      .top = 2,
                      .top_tokens = {2, 1, 2, 0},
                      .top_logits = {2, 1, 2, 1},
                      .log_sums = {2.5F, 2.25F},
                      .width = 2,
                      .segments = {7, 8, 9, 10},
                      .greedy = {2},
                      .rounding = {0.5F, 0.25F, 0.125F}};
  const Path path = directory / "golden.safetensors";
  ASSERT_TRUE(WriteGoldenFile(LocalFileSystem(), path, golden).ok());
  const auto read = ReadGolden(path, 3);
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_EQ(read->tokens, golden.tokens);
  EXPECT_EQ(read->rows, 1);
  ASSERT_EQ(read->logits.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(read->logits[i], golden.logits[i], 1.5 / 131070 + 1e-6);
  }
  EXPECT_EQ(read->best, golden.best);
  EXPECT_EQ(read->segments, golden.segments);
  EXPECT_EQ(read->greedy, golden.greedy);
  EXPECT_EQ(read->top_tokens, golden.top_tokens);
  EXPECT_EQ(read->top_logits, golden.top_logits);
  EXPECT_EQ(read->log_sums, golden.log_sums);
  EXPECT_EQ(read->rounding_of_segment(1), 0.25);
  EXPECT_EQ(read->rounding_of_logits(), 0.125);
  EXPECT_EQ(read->Summary(1).top_tokens[1], 0);
  EXPECT_EQ(read->Summary(1).log_sum, 2.25F);
}

TEST(ReadGolden, LogitsWithoutTheirStepsAreDataLoss) {
  const testing::TemporaryDirectory directory;
  const Path path = directory / "golden.safetensors";
  Golden golden{.tokens = {1, 2},
                .rows = 2,
                .vocabulary = 300,
                .logits = std::vector<float>(600, 1.0F),
                .best = {0, 0},
                .top = 1,
                .top_tokens = {0, 0},
                .top_logits = {1, 1},
                .log_sums = {1, 1},
                .width = 1,
                .segments = {1},
                .greedy = {1}};
  ASSERT_TRUE(WriteGoldenFile(LocalFileSystem(), path, golden).ok());
  ASSERT_TRUE(ReadGolden(path, 300).ok());
  EXPECT_EQ(ReadGolden(path, 299).status().code(), StatusCode::kDataLoss);
  std::string text = *LocalFileSystem().Read(path);
  const std::string shape = "[2,2,2]";
  ASSERT_NE(text.find(shape), std::string::npos);
  text.replace(text.find(shape), shape.size(), "[1,4,2]");
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), path, text).ok());
  const Status refused = ReadGolden(path, 300).status();
  EXPECT_EQ(refused.code(), StatusCode::kDataLoss);
  EXPECT_NE(refused.message().find("logit_steps"), std::string::npos) << refused.ToString();
}

TEST(ReadGolden, WhatDoesNotFitIsDataLossThatNamesTheFile) {
  const testing::TemporaryDirectory directory;
  const Path path = directory / "golden.safetensors";
  const auto refused = [&](const Path& written) {
    const auto golden = ReadGolden(written, kVocabulary);
    return golden.status().code() == StatusCode::kDataLoss &&
           golden.status().message().find("golden.safetensors") != std::string::npos;
  };
  EXPECT_TRUE(refused(WriteGolden(path, 2, 3, kVocabulary))) << "more rows than tokens";
  EXPECT_TRUE(refused(WriteGolden(path, 4, 0, kVocabulary))) << "no rows";
  EXPECT_TRUE(refused(WriteGolden(path, 4, 3, kVocabulary + 1))) << "another vocabulary";
  EXPECT_TRUE(refused(WriteGolden(path, 4, 3, kVocabulary, format::DType::kF32))) << "float ids";
  EXPECT_TRUE(refused(WriteGolden(path, 4, 3, kVocabulary, format::DType::kI32, 3)))
      << "a sum is missing";
}

}  // namespace
}  // namespace tyllm::simulator
