// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>

#include "common/base/clock.h"

namespace tyllm::server::sched {

/// How long things may take and how often they are tried. Every decision of this folder is a
/// function of a snapshot, the time and this.
struct Policy {
  /// A worker that says nothing for this long has lost its attempts...
  Milliseconds lease = std::chrono::seconds(30);
  /// ...after this much more, so that the worker, which counts from when it called, stops first.
  /// A server that restarts gives every attempt lease and grace anew.
  Milliseconds lease_grace = std::chrono::seconds(15);
  /// An attempt without any change of its progress for this long is stuck.
  Milliseconds stall = std::chrono::minutes(30);
  /// An attempt may take this long in all.
  Milliseconds deadline = std::chrono::hours(12);
  /// A worker that is there may take this long to stop a cancelled attempt; then the task counts as
  /// cancelled without its word.
  Milliseconds stop = std::chrono::minutes(2);
  /// Attempts that may fail, stall or be late before the task fails.
  int failures = 3;
  /// Attempts that may be lost with their worker before the task fails: it may be what kills them.
  int losses = 3;
  /// Wait before the second attempt after a failure; doubles, up to the longest.
  Milliseconds first_backoff = std::chrono::seconds(5);
  Milliseconds longest_backoff = std::chrono::minutes(10);
};

}  // namespace tyllm::server::sched
