// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/model/model_shape.h"

namespace tyllm::plan::testing {

/// Width 256, 4:2 heads of 64, intermediate 768, vocabulary 4096, tied.
inline model::ModelShape DemoShape() {
  model::ModelShape shape;
  shape.family = "qwen3";
  shape.layers = 4;
  shape.width = 256;
  shape.heads = 4;
  shape.kv_heads = 2;
  shape.head_size = 64;
  shape.intermediate = 768;
  shape.vocabulary = 4096;
  shape.max_positions = 4096;
  shape.tied_head = true;
  shape.qk_norm = true;
  return shape;
}

/// Width 128, 8:4 heads of 32, intermediate 384, vocabulary 512, tied.
inline model::ModelShape GoldenShape() {
  model::ModelShape shape = DemoShape();
  shape.layers = 2;
  shape.width = 128;
  shape.heads = 8;
  shape.kv_heads = 4;
  shape.head_size = 32;
  shape.intermediate = 384;
  shape.vocabulary = 512;
  return shape;
}

}  // namespace tyllm::plan::testing
