// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/graph/graph.h"
#include "worker/model/checkpoint.h"
#include "worker/plan/schedule.h"

namespace tyllm::plan {

/// Which linear layers of a model's graph its checkpoint keeps in float, and the group of the
/// others.
WeightFormats FormatsOf(const model::Checkpoint& checkpoint, const graph::Graph& graph);

}  // namespace tyllm::plan
