// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "worker/artifact/params.h"
#include "worker/artifact/torch_archive.h"
#include "worker/graph/tower_layout.h"
#include "worker/plan/tower_schedule.h"

namespace tyllm::simulator {

/// In constant_die<d>.params: int32 [2], first of the numbers of a patch that the die multiplies,
/// and one past the last.
inline constexpr std::string_view kPixelRangeParam = "shard.pixels";

/// "visual.blocks.3.attn.qkv.q"
std::string TowerParamName(const std::string& block, const plan::TowerWeight& weight);

/// What the layout says for an input of integers or rotations, as its file holds it.
std::vector<std::byte> TowerTable(const graph::TowerLayout& layout, plan::TowerInputKind kind);

/// The bindings table of a die's program: where its parameters lie in the two files. kDataLoss
/// names a parameter that is missing or has another size, and tables that are not those of the
/// schedule's image size: programs trust them.
Result<std::vector<std::uint64_t>> BindTower(const plan::TowerSchedule& schedule,
                                             const artifact::ParamsFile& params,
                                             const artifact::TorchArchive& preset);

}  // namespace tyllm::simulator
