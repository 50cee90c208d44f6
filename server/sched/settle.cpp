// SPDX-License-Identifier: Apache-2.0
#include "server/sched/settle.h"

#include <algorithm>

namespace tyllm::server::sched {

std::vector<Step> Settle(std::span<const Node> nodes) {
  using domain::TaskEvent;
  using domain::TaskState;
  std::vector<TaskState> states;
  std::vector<Step> steps;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    TaskState state = nodes[i].state;
    if (state == TaskState::kWaiting) {
      const auto& needs = nodes[i].needs;
      const bool hopeless = std::any_of(needs.begin(), needs.end(), [&](std::size_t need) {
        return states[need] == TaskState::kFailed || states[need] == TaskState::kCancelled;
      });
      const bool ready = std::all_of(needs.begin(), needs.end(), [&](std::size_t need) {
        return states[need] == TaskState::kSucceeded;
      });
      if (hopeless) {
        state = TaskState::kCancelled;
        steps.push_back({i, TaskEvent::kCancel});
      } else if (ready) {
        state = TaskState::kQueued;
        steps.push_back({i, TaskEvent::kInputsReady});
      }
    }
    states.push_back(state);
  }
  return steps;
}

}  // namespace tyllm::server::sched
