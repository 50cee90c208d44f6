// SPDX-License-Identifier: Apache-2.0
#include "common/domain/states.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tyllm::domain {
namespace {

using S = TaskState;

TEST(TaskStates, AFinalStateAllowsNothing) {
  for (const auto& [state, state_name] : kTaskStateNames.rows()) {
    for (const auto& [event, event_name] : kTaskEventNames.rows()) {
      if (IsFinal(state)) {
        EXPECT_FALSE(Next(state, event)) << state_name << " " << event_name;
      }
    }
  }
}

TEST(TaskStates, WhatIsBeingCancelledCanOnlyEndCancelled) {
  for (const auto& [event, name] : kTaskEventNames.rows()) {
    const auto next = Next(S::kCancelling, event);
    EXPECT_TRUE(!next || *next == S::kCancelled || *next == S::kCancelling) << name;
  }
}

TEST(TaskStates, TheWholeTable) {
  std::string legal;
  for (const auto& [state, state_name] : kTaskStateNames.rows()) {
    for (const auto& [event, event_name] : kTaskEventNames.rows()) {
      if (const auto next = Next(state, event)) {
        legal += std::string(state_name) + " " + std::string(event_name) + " " +
                 std::string(kTaskStateNames.Name(*next)) + "\n";
      }
    }
  }
  EXPECT_EQ(legal,
            "waiting inputs_ready queued\n"
            "waiting cancel cancelled\n"
            "queued lease running\n"
            "queued succeed succeeded\n"
            "queued fail failed\n"
            "queued cancel cancelled\n"
            "running succeed succeeded\n"
            "running fail failed\n"
            "running requeue queued\n"
            "running cancel cancelling\n"
            "cancelling succeed cancelled\n"
            "cancelling fail cancelled\n"
            "cancelling requeue cancelled\n"
            "cancelling cancel cancelling\n"
            "cancelling stopped cancelled\n");
}

TEST(JobStates, FollowFromTheTasks) {
  struct Case {
    std::vector<TaskState> tasks;
    bool cancel_asked;
    JobState job;
  };

  const std::vector<Case> cases = {
      {{S::kQueued, S::kWaiting}, false, JobState::kQueued},
      {{S::kLeased, S::kWaiting}, false, JobState::kRunning},
      {{S::kSucceeded, S::kQueued}, false, JobState::kRunning},
      {{S::kFailed, S::kLeased}, false, JobState::kRunning},
      {{S::kCancelling, S::kCancelled}, true, JobState::kCancelling},
      {{S::kSucceeded, S::kSucceeded}, false, JobState::kSucceeded},
      {{S::kSucceeded, S::kFailed, S::kCancelled}, false, JobState::kFailed},
      {{S::kSucceeded, S::kFailed}, true, JobState::kFailed},
      {{S::kSucceeded, S::kCancelled}, true, JobState::kCancelled},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(JobStateOf(c.tasks, c.cancel_asked), c.job) << kJobStateNames.Name(c.job);
  }
}

}  // namespace
}  // namespace tyllm::domain
