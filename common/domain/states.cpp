// SPDX-License-Identifier: Apache-2.0
#include "common/domain/states.h"

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

}  // namespace tyllm::domain
