// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>

#include "worker/plan/tower_schedule.h"

namespace tyllm::plan {

namespace {

constexpr std::int64_t kStep = 16;

Status CheckWidth(std::string_view what, std::int64_t width, std::int64_t dies) {
  if (PaddedColumns(width) / kStep >= dies) {
    return OkStatus();
  }
  return InvalidArgument("the visual tower's " + std::string(what) + " of " +
                         std::to_string(width) + " cannot be split over " + std::to_string(dies) +
                         " dies, expected at least 16 for each; use fewer dies");
}

/// Heads of each die: over the fewest dies that keep the largest share as small as it can be.
std::vector<Range> SplitHeads(std::int64_t heads, std::int64_t dies) {
  const std::int64_t share = (heads + dies - 1) / dies;
  const std::int64_t used = (heads + share - 1) / share;
  std::vector<Range> ranges = SplitEvenly(heads, 1, used);
  ranges.resize(static_cast<std::size_t>(dies), {heads, heads});
  return ranges;
}

}  // namespace

Result<std::vector<TowerShard>> ShardTower(const model::VisionShape& shape, std::int64_t dies) {
  TYLLM_TRY(CheckWidth("patch size", shape.patch_values(), dies));
  TYLLM_TRY(CheckWidth("intermediate size", shape.intermediate, dies));
  TYLLM_TRY(CheckWidth("merger", shape.merged_width(), dies));
  const std::vector<Range> heads = SplitHeads(shape.heads, dies);
  const std::vector<Range> pixels = SplitEvenly(shape.patch_values(), kStep, dies);
  const std::vector<Range> inner = SplitEvenly(shape.intermediate, kStep, dies);
  const std::vector<Range> merged = SplitEvenly(shape.merged_width(), kStep, dies);
  std::vector<TowerShard> shards;
  for (std::size_t die = 0; die < static_cast<std::size_t>(dies); ++die) {
    shards.push_back({heads[die], pixels[die], inner[die], merged[die]});
  }
  return shards;
}

}  // namespace tyllm::plan
