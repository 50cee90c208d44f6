// SPDX-License-Identifier: Apache-2.0
#include "worker/model/checkpoint.h"

#include <gtest/gtest.h>

namespace tyllm::model {
namespace {

const Path kGoldens = Path(TYLLM_TEST_DATA) / "goldens";

TEST(Checkpoint, ReadsAFloatModelOfOneFile) {
  const auto checkpoint = Checkpoint::Open(kGoldens / "tiny-qwen3");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().ToString();
  EXPECT_EQ(checkpoint->format(), CheckpointFormat::kFloat);
  EXPECT_EQ(checkpoint->group_size(), 0);
  EXPECT_EQ(checkpoint->shape().family, "qwen3");
  EXPECT_EQ(checkpoint->ReadLinear("model.layers.1.mlp.down_proj")->size(), 128U * 384U);
  EXPECT_TRUE(checkpoint->unused_tensors().empty());
}

TEST(Checkpoint, ATiedHeadIsTheEmbeddingTable) {
  const auto checkpoint = Checkpoint::Open(kGoldens / "tiny-qwen3");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().ToString();
  EXPECT_TRUE(checkpoint->shape().tied_head);
  EXPECT_EQ(*checkpoint->ReadLinear("lm_head"),
            *checkpoint->ReadFloats("model.embed_tokens.weight"));
}

}  // namespace
}  // namespace tyllm::model
