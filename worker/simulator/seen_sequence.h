// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "worker/forward/tower.h"
#include "worker/model/visual_positions.h"

namespace tyllm::simulator {

/// A sequence of tokens in which images or videos stand: what the host of a compiled model knows of
/// it besides the ids.
struct SeenSequence {
  model::VisualPositions positions;
  forward::VisualFeatures features;  ///< of all items, one after the other

  /// kInvalidArgument when there are not as many features as tokens that stand for them.
  static Result<SeenSequence> Make(const model::VisionShape& shape,
                                   std::span<const std::int32_t> ids,
                                   std::span<const model::VisualItem> items,
                                   std::span<const forward::VisualFeatures> features);

  /// Positions of `count` tokens from token `first` on; behind the sequence they go on as text.
  std::array<std::vector<std::int32_t>, 3> PositionsFrom(std::int64_t first,
                                                         std::int64_t count) const;
  /// Replaces the rows of tokens [first, first + count) that stand for images by their features.
  void Place(std::int64_t first, std::int64_t count, std::int64_t width, float* rows) const;
  /// [levels, count, width] to be added after the first layers; empty when none of these tokens
  /// stands for an image.
  std::vector<float> Deepstack(std::int64_t first, std::int64_t count, std::int64_t width) const;
};

}  // namespace tyllm::simulator
