// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "common/base/enum_table.h"

namespace tyllm::domain {

/// What is true of a task in each state. Stored as the integer.
enum class TaskState : std::uint8_t {
  kWaiting,     ///< an input comes from a task that has not succeeded yet
  kQueued,      ///< may be leased (from not_before on)
  kLeased,      ///< attempt n belongs to one worker session until the lease expires
  kCancelling,  ///< leased, and the worker is to stop it; its result is not wanted
  kSucceeded,   ///< final: output tree complete in the blob store
  kFailed,      ///< final: see the failure
  kCancelled,   ///< final: asked for, or a task that it needed did not succeed
};

inline constexpr EnumTable<TaskState, 7> kTaskStateNames("task state",
                                                         {{{TaskState::kWaiting, "waiting"},
                                                           {TaskState::kQueued, "queued"},
                                                           {TaskState::kLeased, "running"},
                                                           {TaskState::kCancelling, "cancelling"},
                                                           {TaskState::kSucceeded, "succeeded"},
                                                           {TaskState::kFailed, "failed"},
                                                           {TaskState::kCancelled, "cancelled"}}});

constexpr const auto& NamesOf(TaskState) {
  return kTaskStateNames;
}

/// What can happen to a task.
enum class TaskEvent : std::uint8_t {
  kInputsReady,
  kLease,
  kSucceed,
  kFail,     ///< for good: the error is not worth another attempt, or there were enough
  kRequeue,  ///< the attempt is over without result (lease lost, stalled, worker drained): try
             ///< again
  kCancel,   ///< a person, or a failed task that this one needs
  kStopped,  ///< the worker confirms that a cancelled attempt ended, or its lease ran out
};

inline constexpr EnumTable<TaskEvent, 7> kTaskEventNames(
    "task event", {{{TaskEvent::kInputsReady, "inputs_ready"},
                    {TaskEvent::kLease, "lease"},
                    {TaskEvent::kSucceed, "succeed"},
                    {TaskEvent::kFail, "fail"},
                    {TaskEvent::kRequeue, "requeue"},
                    {TaskEvent::kCancel, "cancel"},
                    {TaskEvent::kStopped, "stopped"}}});

constexpr const auto& NamesOf(TaskEvent) {
  return kTaskEventNames;
}

constexpr bool IsFinal(TaskState state) {
  return state == TaskState::kSucceeded || state == TaskState::kFailed ||
         state == TaskState::kCancelled;
}

/// A worker is (supposed to be) busy with it.
constexpr bool IsHeld(TaskState state) {
  return state == TaskState::kLeased || state == TaskState::kCancelling;
}

/// The one table of legal transitions; nothing for an event that the state does not allow.
std::optional<TaskState> Next(TaskState state, TaskEvent event);

/// A job's state follows from its tasks'.
enum class JobState : std::uint8_t {
  kQueued,
  kRunning,
  kCancelling,
  kSucceeded,
  kFailed,
  kCancelled
};

inline constexpr EnumTable<JobState, 6> kJobStateNames("job state",
                                                       {{{JobState::kQueued, "queued"},
                                                         {JobState::kRunning, "running"},
                                                         {JobState::kCancelling, "cancelling"},
                                                         {JobState::kSucceeded, "succeeded"},
                                                         {JobState::kFailed, "failed"},
                                                         {JobState::kCancelled, "cancelled"}}});

constexpr const auto& NamesOf(JobState) {
  return kJobStateNames;
}

constexpr bool IsFinal(JobState state) {
  return state == JobState::kSucceeded || state == JobState::kFailed ||
         state == JobState::kCancelled;
}

/// The state of a job with these tasks. Ended only when all its tasks have: failed when one failed,
/// else cancelled when one was. `cancel_asked`: a person asked for it.
JobState JobStateOf(std::span<const TaskState> tasks, bool cancel_asked);

}  // namespace tyllm::domain
