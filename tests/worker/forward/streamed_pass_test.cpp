// SPDX-License-Identifier: Apache-2.0
#include "worker/forward/streamed_pass.h"

#include <gtest/gtest.h>

#include "tests/worker/forward/golden.h"
#include "worker/forward/block_stream.h"

namespace tyllm::forward {
namespace {

using testing::Golden;

std::vector<TokenBatch> TwoBatches(const Golden& golden) {
  const std::vector<std::int32_t> ids = golden.Ids("input_ids");
  return {{.sequences = 2, .length = 10, .ids = {ids.begin(), ids.begin() + 20}},
          {.sequences = 1, .length = 10, .ids = {ids.begin() + 20, ids.begin() + 30}}};
}

TEST(RunBody, EveryBlockSeesEveryBatchInOrder) {
  const Golden golden = Golden::Open("tiny-qwen3");
  const auto backend = *tensor::MakeBackend("cpu", 1);
  BlockRunner runner(*backend, golden.model.shape());
  std::vector<std::pair<std::int64_t, std::int64_t>> seen;
  const auto body = RunBody(golden.model, runner, TwoBatches(golden),
                            [&](std::int64_t block, std::int64_t batch, const tensor::Matrix&) {
                              seen.emplace_back(block, batch);
                            });
  ASSERT_TRUE(body.ok()) << body.status().ToString();
  const std::vector<std::pair<std::int64_t, std::int64_t>> expected = {{0, 0}, {0, 1}, {1, 0},
                                                                       {1, 1}, {2, 0}, {2, 1}};
  EXPECT_EQ(seen, expected);
  EXPECT_EQ((*body)[0].rows(), 20);
  EXPECT_EQ((*body)[1].rows(), 10);
}

TEST(RunBody, DoesNotDependOnTheNumberOfThreads) {
  const Golden golden = Golden::Open("tiny-qwen3");
  std::vector<std::vector<float>> results;
  for (const int threads : {1, 2, 5}) {
    const auto backend = *tensor::MakeBackend("cpu", threads);
    BlockRunner runner(*backend, golden.model.shape());
    const auto body = RunBody(golden.model, runner, TwoBatches(golden));
    ASSERT_TRUE(body.ok());
    const Head head = *Head::Load(golden.model);
    const auto logits = head.Logits(runner, body->front(), 3, 12);
    ASSERT_TRUE(logits.ok());
    results.emplace_back(logits->data(), logits->data() + logits->rows() * logits->columns());
  }
  EXPECT_TRUE(results[0] == results[1]);
  EXPECT_TRUE(results[0] == results[2]);
}

TEST(RunBody, AnErrorOfOneBatchEndsThePass) {
  const Golden golden = Golden::Open("tiny-qwen3");
  const auto backend = *tensor::MakeBackend("cpu", 1);
  BlockRunner runner(*backend, golden.model.shape());
  std::vector<TokenBatch> batches = TwoBatches(golden);
  batches[1].ids[4] = 9999;
  EXPECT_EQ(RunBody(golden.model, runner, batches).status().code(), StatusCode::kInvalidArgument);
}

TEST(BlockStream, GivesTheBlocksInOrderAndMayBeLeftEarly) {
  const Golden golden = Golden::Open("tiny-qwen3");
  const std::vector<const graph::Block*> blocks = golden.model.BodyBlocks();
  {
    BlockStream stream(golden.model.checkpoint, blocks);
    for (const graph::Block* block : blocks) {
      ASSERT_EQ(stream.upcoming(), block);
      const auto weights = stream.Next();
      ASSERT_TRUE(weights.ok()) << weights.status().ToString();
      EXPECT_TRUE(weights->begin()->first.starts_with(block->name));
    }
    EXPECT_EQ(stream.upcoming(), nullptr);
  }
  BlockStream abandoned(golden.model.checkpoint, blocks);
  EXPECT_TRUE(abandoned.Next().ok());
}

TEST(Head, KeepsLogitsOfLargeVocabulariesSmall) {
  Golden golden = Golden::Open("tiny-qwen3");
  EXPECT_EQ(Head::Load(golden.model)->RowsAtOnce(), 256);
  golden.model.graph.head.values[static_cast<std::size_t>(golden.model.graph.head.output)].columns =
      151936;
  EXPECT_EQ(Head::Load(golden.model)->RowsAtOnce(), 110);
}

}  // namespace
}  // namespace tyllm::forward
