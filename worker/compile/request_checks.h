// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "worker/compile/problems.h"
#include "worker/compile/request.h"
#include "worker/compile/visual/tower_build.h"
#include "worker/forward/model.h"
#include "worker/plan/checkpoint_formats.h"
#include "worker/plan/shard.h"

// What can be wrong with a request, each thing looked at only where nothing that it depends on is
// wrong by itself.
namespace tyllm::compile {

/// What is wrong with the options by themselves, without looking at the model. Problems of what is
/// for models that see wait until it is known whether this one does.
domain::CompileFaults CheckOptions(const CompileRequest& request, Problems& problems);

/// What does not fit the model. Gives the plan of its tower where it is compiled too.
std::optional<TowerPlan> CheckAgainstModel(const CompileRequest& request,
                                           const forward::Model& model,
                                           const plan::WeightFormats& formats,
                                           const domain::CompileFaults& faults, Problems& problems);

/// The problems of what is for models that see, where no model could be opened.
void CheckWithoutModel(const domain::CompileFaults& faults, Problems& problems);

/// The split that is asked for, or as much of it as is right by itself.
plan::Split SplitOf(const domain::CompileOptions& options, const domain::CompileFaults& faults);

}  // namespace tyllm::compile
