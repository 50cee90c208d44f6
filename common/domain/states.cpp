// SPDX-License-Identifier: Apache-2.0
#include "common/domain/states.h"

#include <algorithm>
#include <array>

namespace tyllm::domain {

namespace {

struct Transition {
  TaskState from;
  TaskEvent event;
  TaskState to;
};

constexpr std::array kTransitions = {
    Transition{TaskState::kWaiting, TaskEvent::kInputsReady, TaskState::kQueued},
    Transition{TaskState::kWaiting, TaskEvent::kCancel, TaskState::kCancelled},
    Transition{TaskState::kQueued, TaskEvent::kLease, TaskState::kLeased},
    Transition{TaskState::kQueued, TaskEvent::kSucceed,
               TaskState::kSucceeded},                                     // found in the cache
    Transition{TaskState::kQueued, TaskEvent::kFail, TaskState::kFailed},  // no attempts left
    Transition{TaskState::kQueued, TaskEvent::kCancel, TaskState::kCancelled},
    Transition{TaskState::kLeased, TaskEvent::kSucceed, TaskState::kSucceeded},
    Transition{TaskState::kLeased, TaskEvent::kFail, TaskState::kFailed},
    Transition{TaskState::kLeased, TaskEvent::kRequeue, TaskState::kQueued},
    Transition{TaskState::kLeased, TaskEvent::kCancel, TaskState::kCancelling},
    // A result that comes while cancelling is too late: cancelled stays cancelled.
    Transition{TaskState::kCancelling, TaskEvent::kSucceed, TaskState::kCancelled},
    Transition{TaskState::kCancelling, TaskEvent::kFail, TaskState::kCancelled},
    Transition{TaskState::kCancelling, TaskEvent::kRequeue, TaskState::kCancelled},
    Transition{TaskState::kCancelling, TaskEvent::kStopped, TaskState::kCancelled},
    Transition{TaskState::kCancelling, TaskEvent::kCancel, TaskState::kCancelling},
};

}  // namespace

std::optional<TaskState> Next(TaskState state, TaskEvent event) {
  for (const Transition& transition : kTransitions) {
    if (transition.from == state && transition.event == event) {
      return transition.to;
    }
  }
  return std::nullopt;
}

JobState JobStateOf(std::span<const TaskState> tasks, bool cancel_asked) {
  const auto has = [&](TaskState state) {
    return std::find(tasks.begin(), tasks.end(), state) != tasks.end();
  };
  if (std::all_of(tasks.begin(), tasks.end(), [](TaskState state) { return IsFinal(state); })) {
    if (has(TaskState::kFailed)) {
      return JobState::kFailed;
    }
    return has(TaskState::kCancelled) ? JobState::kCancelled : JobState::kSucceeded;
  }
  if (cancel_asked) {
    return JobState::kCancelling;
  }
  const bool begun = std::any_of(tasks.begin(), tasks.end(), [](TaskState state) {
    return state != TaskState::kWaiting && state != TaskState::kQueued;
  });
  return begun ? JobState::kRunning : JobState::kQueued;
}

}  // namespace tyllm::domain
