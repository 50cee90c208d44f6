// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "common/base/parallel.h"
#include "common/domain/progress.h"
#include "worker/artifact/manifest.h"
#include "worker/artifact/visual_config.h"
#include "worker/compile/object_builder.h"
#include "worker/forward/model.h"
#include "worker/graph/tower.h"

namespace tyllm::compile {

/// A model's tower cut over dies for images of one size. Nothing of its weights is read.
struct TowerPlan {
  graph::Tower tower;
  artifact::VisualConfig config;
  std::vector<plan::TowerSchedule> schedules;  ///< [dies]
};

/// What the processor would make of images (or videos) of the size that `options` name decides the
/// grid. Errors name what is missing, or cannot be cut over `dies`.
Result<TowerPlan> PlanTower(const forward::Model& model, const domain::VisualOptions& options,
                            std::int64_t dies);

/// Whether the tower can be cut over `dies`, whatever it looks at.
Status CheckTowerDies(const forward::Model& model, std::int64_t dies);

/// Writes constant_die<d>.params, vit_die<d>.so and <signature>_buffer_config_<d>.json of dies
/// `dies` into visual/ of `root`; what is there already and complete is kept. Reports stages
/// "pack_visual" and "compile_visual". Returns what the files of parameters are: [dies].
Result<std::vector<artifact::FileEntry>> BuildTowerDies(
    FileSystem& files, const TowerPlan& plan, const forward::Model& model,
    const std::vector<std::int64_t>& dies, const ObjectBuilder& builder, bool keep_source,
    ThreadPool& pool, const Path& root, domain::ProgressSink& progress);

/// Writes what all dies share: preset inputs, graph, buffer and AOT configurations.
Status WriteTowerFiles(FileSystem& files, const TowerPlan& plan, const forward::Model& model,
                       const Path& root);

}  // namespace tyllm::compile
