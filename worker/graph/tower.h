// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "worker/graph/graph.h"
#include "worker/model/vision_shape.h"

namespace tyllm::graph {

/// A visual tower as blocks that run one after another, each resident as a whole. Rows are patches,
/// in the order of the image processor (frames, rows of tokens, columns of tokens, rows and columns
/// of a token's patches) until `patches` orders them by windows where there are any.
struct Tower {
  model::VisionShape shape;
  Block patches;              ///< input: patches' numbers [patches, patch_values]
  std::vector<Block> layers;  ///< [depth]
  Block merger;               ///< output: tokens [patches / unit, out_width], in frame order
  /// Of each block of shape.deepstack: reads that block's output, gives what is added to the
  /// visual tokens after the first layers of the language model.
  std::vector<Block> deepstack;
};

/// `visual` is the module of the tower: "visual" or "model.visual".
Tower BuildTower(const model::VisionShape& shape, std::string_view visual);

}  // namespace tyllm::graph
