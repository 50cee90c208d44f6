// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/golden.h"

#include <gtest/gtest.h>

#include "common/format/safetensors.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::simulator {
namespace {

constexpr std::int64_t kVocabulary = 5;

/// A golden file of `tokens` tokens and `rows` rows of `columns` logits.
Path WriteGolden(const Path& path, std::int64_t tokens, std::int64_t rows, std::int64_t columns,
                 format::DType ids = format::DType::kI32) {
  const std::vector<format::TensorSpec> specs = {{"token_ids", ids, {tokens}},
                                                 {"logits", format::DType::kF32, {rows, columns}},
                                                 {"best_ids", format::DType::kI32, {tokens}},
                                                 {"greedy_ids", format::DType::kI32, {2}},
                                                 {"segments", format::DType::kF32, {3, 4}}};
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
  const Golden golden{{1, 2}, 1, 3, {0.5F, 1, 2}, {2, 2}, 2, {7, 8, 9, 10}, {2}};
  const Path path = directory / "golden.safetensors";
  ASSERT_TRUE(WriteGoldenFile(LocalFileSystem(), path, golden).ok());
  const auto read = ReadGolden(path, 3);
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_EQ(read->tokens, golden.tokens);
  EXPECT_EQ(read->logits, golden.logits);
  EXPECT_EQ(read->best, golden.best);
  EXPECT_EQ(read->segments, golden.segments);
  EXPECT_EQ(read->greedy, golden.greedy);
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
}

}  // namespace
}  // namespace tyllm::simulator
