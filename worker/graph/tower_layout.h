// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "worker/model/vision_shape.h"
#include "worker/model/visual_positions.h"

namespace tyllm::graph {

/// What a tower needs to know of a grid besides its pixels: the same for all images of one size.
/// "Block order" is that of the rows inside the blocks: by windows where the tower has any.
struct TowerLayout {
  /// Cosines of each pair's angle, then sines, in block order [patches, head_size]: the first half
  /// of the pairs turns with the patch's row, the second with its column.
  std::vector<float> rotations;
  /// Ends of runs of patches that see each other, ascending; the last is the number of patches.
  std::vector<std::int32_t> frame_ends;
  std::vector<std::int32_t> window_ends;  ///< empty without windows
  /// Number of the patch, in processor order, that stands at each place of block order; empty
  /// without windows.
  std::vector<std::int32_t> to_windows;
  /// Number of the token, in window order, that stands at each place of frame order.
  std::vector<std::int32_t> from_windows;
  /// Four rows of the table of position embeddings for each patch, in processor order, and how much
  /// of each [patches, 4]; empty without a table.
  std::vector<std::int32_t> grid_rows;
  std::vector<float> grid_weights;
};

/// 10000^(-4i/head_size) for i in [0, head_size/4), in float32 as model::RopeFrequencies.
std::vector<float> TowerFrequencies(const model::VisionShape& shape);

/// `grid` has passed model::CheckGrid. `frequencies` are TowerFrequencies unless a test knows
/// better.
TowerLayout LayOut(const model::VisionShape& shape, const model::VisualGrid& grid,
                   std::span<const float> frequencies);
TowerLayout LayOut(const model::VisionShape& shape, const model::VisualGrid& grid);

}  // namespace tyllm::graph
