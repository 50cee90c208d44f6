// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "common/base/parallel.h"
#include "common/domain/progress.h"
#include "worker/artifact/params.h"
#include "worker/model/checkpoint.h"
#include "worker/plan/tower_schedule.h"

namespace tyllm::compile {

/// A die whose constant_die<d>.params is to be written.
struct TowerTarget {
  Path path;
  std::int64_t die = 0;
  const plan::TowerSchedule* schedule = nullptr;
};

/// What constant_die<d>.params of a die holds, in its order.
std::vector<artifact::ParamSpec> TowerSpecs(const plan::TowerSchedule& schedule);

/// Packs a tower's weights for the kernels, die after die, one matrix in memory at a time. Files
/// get their names when they are complete. Gives the SHA-256 of each. Reports stage "pack_visual",
/// in bytes.
Result<std::vector<std::string>> WriteTowerParams(FileSystem& files,
                                                  const model::Checkpoint& checkpoint,
                                                  const std::vector<TowerTarget>& targets,
                                                  ThreadPool& pool, domain::ProgressSink& progress);

/// The inputs of a tower's programs but for the pixels, in the schedule's order: what
/// <signature>_preset_kwargs.pt holds. `visual` is the tower's module.
Result<std::string> TowerPreset(const model::Checkpoint& checkpoint,
                                const plan::TowerSchedule& schedule, const std::string& visual);

}  // namespace tyllm::compile
