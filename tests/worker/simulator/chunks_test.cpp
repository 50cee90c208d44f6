// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/chunks.h"

#include <gtest/gtest.h>

namespace tyllm::simulator {
namespace {

using plan::ProgramKind;
using Buckets = std::vector<std::int64_t>;

std::vector<std::int64_t> Sizes(const std::vector<Chunk>& chunks) {
  std::vector<std::int64_t> sizes;
  for (const Chunk& chunk : chunks) {
    sizes.push_back(chunk.tokens);
  }
  return sizes;
}

TEST(PlanChunks, TheLargestBucketThatIsFilledGoesFirst) {
  const auto chunks = PlanChunks(Buckets{1, 8, 96}, 0, 96 + 8 + 8 + 2, Rows::kLast);
  EXPECT_EQ(Sizes(chunks), (Buckets{96, 8, 8, 1, 1}));
}

TEST(PlanChunks, OnlyTheFirstCallRunsWithoutHistory) {
  const auto chunks = PlanChunks(Buckets{96, 1, 8}, 0, 96 + 96 + 8, Rows::kLast);
  ASSERT_EQ(chunks.size(), 3U);
  EXPECT_EQ(chunks[0].program, (plan::ProgramId{ProgramKind::kPrefill, 96}));
  EXPECT_EQ(chunks[1].program, (plan::ProgramId{ProgramKind::kLlm, 96}));
  EXPECT_EQ(chunks[2].program, (plan::ProgramId{ProgramKind::kDecode, 8}));
}

TEST(PlanChunks, WithHistoryNoPrefillProgramIsUsed) {
  for (const Chunk& chunk : PlanChunks(Buckets{1, 8, 96}, 5, 300, Rows::kLast)) {
    EXPECT_NE(chunk.program.kind, ProgramKind::kPrefill);
  }
}

TEST(PlanChunks, EveryRowComesFromDecodePrograms) {
  const auto chunks = PlanChunks(Buckets{1, 8, 96}, 0, 97, Rows::kEvery);
  EXPECT_EQ(chunks.size(), 13U);
  for (const Chunk& chunk : chunks) {
    EXPECT_EQ(chunk.program.kind, ProgramKind::kDecode);
  }
}

TEST(PlanChunks, LessThanTheSmallestBucketFillsAPartOfIt) {
  EXPECT_EQ(Sizes(PlanChunks(Buckets{8}, 0, 19, Rows::kLast)), (Buckets{8, 8, 3}));
  EXPECT_EQ(Sizes(PlanChunks(Buckets{96}, 0, 1, Rows::kLast)), (Buckets{1}));
}

TEST(PlanChunks, NothingServesEveryRowWithoutASmallBucket) {
  EXPECT_TRUE(PlanChunks(Buckets{96}, 0, 5, Rows::kEvery).empty());
}

TEST(PlanChunks, CoversAnyNumberOfTokensInOrder) {
  for (std::int64_t tokens = 1; tokens < 250; ++tokens) {
    std::int64_t sum = 0;
    for (const Chunk& chunk : PlanChunks(Buckets{1, 8, 96}, 0, tokens, Rows::kLast)) {
      EXPECT_GE(chunk.tokens, 1);
      EXPECT_LE(chunk.tokens, chunk.program.bucket);
      sum += chunk.tokens;
    }
    EXPECT_EQ(sum, tokens);
  }
}

}  // namespace
}  // namespace tyllm::simulator
