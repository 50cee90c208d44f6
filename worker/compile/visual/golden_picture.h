// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/compile/visual/tower_build.h"
#include "worker/simulator/visual_golden.h"

namespace tyllm::compile {

/// Writes golden_visual.safetensors below `root`: a drawn picture (a film of it for video) of the
/// compiled size, a question about it, and what the model makes of them in float32. Models without
/// a tokenizer are asked with token ids that mean nothing.
Status WriteVisualGolden(FileSystem& files, const forward::Model& model, const TowerPlan& plan,
                         std::int64_t max_kv, int jobs, const Path& root,
                         domain::ProgressSink& progress);

/// Tokens of that question and its answer besides those of the picture: what a KV cache must have
/// room for.
inline constexpr std::int64_t kQuestionTokens = 64;

}  // namespace tyllm::compile
