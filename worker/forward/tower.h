// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "worker/forward/block_runner.h"
#include "worker/forward/model.h"
#include "worker/graph/tower.h"
#include "worker/model/visual_positions.h"

namespace tyllm::forward {

/// An image or video as its processor gives it.
struct VisualPixels {
  model::VisualItem item;
  tensor::Matrix patches;  ///< [grid.patches(), patch_values]
};

/// What a tower makes of one.
struct VisualFeatures {
  tensor::Matrix tokens;                  ///< [patches / unit, width of the language model]
  std::vector<tensor::Matrix> deepstack;  ///< of the same shape
};

/// The tower of a model, whose tensors have been checked: missing ones and other shapes are
/// kInvalidArgument naming the tensor. A model that does not see is kFailedPrecondition.
Result<graph::Tower> OpenTower(const Model& model);

/// Called after each of a tower's blocks ran over item `item`.
using AfterTowerBlock =
    std::function<void(const graph::Block& block, std::size_t item, const tensor::Matrix& output)>;

/// Runs the tower over `items`, block by block, so that each block's weights are read once. Memory:
/// one block's weights and a row of `width` floats a patch. `frequencies` stand in for the tower's
/// own (graph::TowerFrequencies).
Result<std::vector<VisualFeatures>> RunTower(const Model& model, const graph::Tower& tower,
                                             tensor::Backend& backend,
                                             std::span<const VisualPixels> items,
                                             const AfterTowerBlock& after = {},
                                             std::span<const float> frequencies = {});

/// What the language model gets of `features` besides token ids: one sequence whose items stand in
/// order. `positions` are those of the whole sequence.
Result<VisualInput> MakeVisualInput(const model::ModelShape& shape,
                                    const model::VisionShape& vision,
                                    const model::VisualPositions& positions,
                                    std::span<const VisualFeatures> features);

/// Cosines and sines [tokens, head_size] of tokens whose positions are `axes`; `frequencies` are
/// the language model's.
tensor::Matrix RotationsOf(const model::VisionShape& vision, std::span<const float> frequencies,
                           const std::array<std::vector<std::int32_t>, 3>& axes);

}  // namespace tyllm::forward
