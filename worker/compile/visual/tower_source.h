// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "worker/compile/generate.h"
#include "worker/plan/tower_schedule.h"

namespace tyllm::compile {

/// Kind of a tower's program, as die::Program and its file tell it.
inline constexpr std::string_view kTowerProgram = "vit";

/// Writes a tower's schedule as C++: a function a step of each kind of block, tables for the blocks
/// themselves. The text depends only on shapes and places, so dies whose shards have the same shape
/// get the same text.
///
/// In terms of die::Program: tokens are patches, embeddings are the pixels, `common` is
/// constant_die<d>.params, `constant` the file of the other inputs; logits are the features.
GeneratedProgram GenerateTower(const plan::TowerSchedule& schedule, std::string_view target_cpu);

}  // namespace tyllm::compile
