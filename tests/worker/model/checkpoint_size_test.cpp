// SPDX-License-Identifier: Apache-2.0
#include "worker/model/checkpoint_size.h"

#include <gtest/gtest.h>

namespace tyllm::model {
namespace {

// AutoAWQ's own files of a model of this shape hold tensors of 12,681,216 bytes in int32 and
// 8,801,280 in float16.
TEST(CheckpointSizeTest, IsThatOfAutoAwqsFiles) {
  ModelShape shape;
  shape.layers = 8;
  shape.width = 512;
  shape.heads = 8;
  shape.kv_heads = 4;
  shape.head_size = 64;
  shape.intermediate = 1536;
  shape.vocabulary = 8192;
  shape.tied_head = true;
  shape.qk_norm = true;
  EXPECT_EQ(QuantizedBytes(shape, 128), 12681216 + 8801280);
  EXPECT_EQ(FloatBytes(shape), 2 * 29369856);
  EXPECT_LT(QuantizedBytes(shape, 128), QuantizedBytes(shape, 32));
}

}  // namespace
}  // namespace tyllm::model
