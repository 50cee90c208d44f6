// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "common/domain/states.h"

namespace tyllm::server::sched {

/// A task of a job as its neighbours see it.
struct Node {
  domain::TaskState state = domain::TaskState::kWaiting;
  std::vector<std::size_t> needs;  ///< indices of the tasks whose outputs it takes; all smaller
};

struct Step {
  std::size_t node = 0;
  domain::TaskEvent event = domain::TaskEvent::kInputsReady;

  bool operator==(const Step&) const = default;
};

/// What follows for the waiting tasks of a job: those whose inputs are all there are ready, those
/// that need a task that failed or was cancelled are cancelled, and so on down the graph.
std::vector<Step> Settle(std::span<const Node> nodes);

}  // namespace tyllm::server::sched
