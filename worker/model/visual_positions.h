// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "worker/model/vision_shape.h"

namespace tyllm::model {

/// The patches of an image or video: `frames` is 1 for an image, otherwise frames divided by
/// temporal_patch.
struct VisualGrid {
  std::int64_t frames = 1;
  std::int64_t rows = 0;
  std::int64_t columns = 0;

  std::int64_t patches() const { return frames * rows * columns; }

  bool operator==(const VisualGrid&) const = default;
};

/// "1 x 34 x 60"
std::string ToText(const VisualGrid& grid);

/// That sides are whole tokens and the size is one that can be computed. kInvalidArgument says what
/// is wrong; `what` names the image.
Status CheckGrid(const VisionShape& shape, const VisualGrid& grid, std::string_view what);

/// An image or video in a sequence of tokens.
struct VisualItem {
  VisualGrid grid;
  bool is_video = false;
  double seconds_per_grid = 1;  ///< of a video whose positions tell seconds
};

/// Where the tokens of a sequence stand in time, height and width, and which of them are visual.
struct VisualPositions {
  std::array<std::vector<std::int32_t>, 3> axes;  ///< [tokens] each
  /// Of the tokens that stand for parts of images, in order: of the first item its tokens, then of
  /// the second.
  std::vector<std::int64_t> rows;
  std::int32_t next = 0;  ///< position of the token that follows, on all axes

  /// What to add to a later token's number to get its position.
  std::int32_t delta() const { return next - static_cast<std::int32_t>(axes[0].size()); }
};

/// Positions of a sequence whose `items` stand in the order of their tokens. Text goes on after the
/// largest position so far. kInvalidArgument when the visual tokens are not as many as the items
/// have. Source: get_rope_index of transformers' Qwen2-VL, Qwen2.5-VL and Qwen3-VL.
Result<VisualPositions> PositionsOf(const VisionShape& shape, std::span<const std::int32_t> ids,
                                    std::span<const VisualItem> items);

}  // namespace tyllm::model
