// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/domain/progress.h"
#include "worker/artifact/visual_config.h"
#include "worker/forward/model.h"
#include "worker/forward/tower.h"
#include "worker/simulator/seen_sequence.h"
#include "worker/tensor/backend.h"

namespace tyllm::simulator {

/// A picture or film, a prompt about it, and what the model makes of both in float32 (the evaluator
/// over the same weights): golden_visual.safetensors (docs/formats/golden.md).
struct VisualGolden {
  model::VisualItem item;
  tensor::Matrix pixels;             ///< [patches, patch_values], numbers of binary16
  std::vector<std::int32_t> tokens;  ///< with as many for the picture as it becomes
  forward::VisualFeatures features;
  tensor::Matrix logits;             ///< [rows, vocabulary] of the last tokens
  std::vector<std::int32_t> greedy;  ///< how the prompt is continued

  std::span<const float> Row(std::int64_t row) const { return logits.row(row); }
};

/// The answer is computed with all weights in memory where they are no more than this in float32;
/// those of larger models are read again for each token.
inline constexpr std::int64_t kResidentBytes = std::int64_t{256} << 20;

/// Computes features, `rows` rows of logits and `greedy` tokens of what has pixels and tokens.
/// The same bits on every machine with tensor::MakeSteadyBackend. Reports stage "golden_visual".
Status ComputeVisualGolden(const forward::Model& model, const graph::Tower& tower,
                           std::int64_t rows, std::int64_t greedy, tensor::Backend& backend,
                           domain::ProgressSink& progress, VisualGolden& golden);

/// Errors name the file, the tensor and what was expected.
Result<VisualGolden> ReadVisualGolden(const Path& path, const artifact::VisualConfig& config,
                                      const model::VisionShape& shape, std::int64_t vocabulary);

/// The file gets its name when it is complete.
Status WriteVisualGolden(FileSystem& files, const Path& path, const VisualGolden& golden);

}  // namespace tyllm::simulator
