// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/domain/failure.h"
#include "common/domain/job.h"
#include "common/domain/worker_sync.h"
#include "server/sched/ending.h"
#include "server/sched/policy.h"

namespace tyllm::server::sched {

/// Attempts of a task that ended before the one in question and counted.
struct Spent {
  int failures = 0;  ///< failed, stalled or late
  int losses = 0;    ///< lost with their worker

  bool operator==(const Spent&) const = default;
};

/// What becomes of a task whose attempt ended without result.
struct Verdict {
  bool again = false;     ///< queue it again, else it has failed
  Milliseconds delay{0};  ///< not before this much later
  domain::Failure failure;
  Spent spent;                        ///< this attempt included
  std::int64_t needs_gpu_memory = 0;  ///< more than 0: from now on only on GPUs with at least this
  int counted_failures = 0;           ///< of spent.failures, with those of one machine as one

  bool operator==(const Verdict&) const = default;
};

/// An attempt that ended, and what is known around it.
struct EndedAttempt {
  domain::AttemptId id;
  domain::TaskKind kind = domain::TaskKind::kQuantize;
  std::string worker;
  std::string stage;  ///< that it reported last
  Ending ending = Ending::kFailed;
  std::optional<domain::Failure> reported;  ///< with kFailed
  std::string log_tail;                     ///< of what the server has, for other endings
  std::int64_t log_bytes = 0;
  std::int64_t gpu_memory = 0;          ///< of the worker's largest GPU; 0: it has none
  std::int64_t largest_gpu_memory = 0;  ///< of any worker that is known
  Spent spent;                          ///< before
  std::vector<std::string> lost_by;     ///< workers that were lost with it before and count
  std::vector<std::string> spoilt_by;  ///< a worker for each attempt that its machine failed before
  bool advanced = false;               ///< its work is kept further than it was when it began
};

/// By class of failure (failure_class.h): whether it is tried again, when, and what it costs. A
/// task that was lost by enough different workers has failed, since it may be what brings them
/// down; losses start anew with one that `advanced`. Machines that fail it count once each, until
/// it was tried three times as often as it may fail. Too little memory of a GPU costs nothing while
/// a larger one is known. Waits differ by up to a quarter from attempt to attempt, so that what
/// failed together does not come back together. Every failure says whose it is, where it happened
/// and what to do. Not for kSucceeded, kStopped.
Verdict Judge(const EndedAttempt& ended, const Policy& policy);

}  // namespace tyllm::server::sched
