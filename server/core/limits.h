// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>

#include "common/base/clock.h"
#include "server/sched/policy.h"

namespace tyllm::server::core {

/// What the server's configuration says about time and sizes.
struct Limits {
  sched::Policy policy;  ///< leases, clocks, attempts
  /// How often a worker with work calls.
  Milliseconds sync_interval = std::chrono::seconds(2);
  /// The longest that a call of an idle worker is held.
  Milliseconds longest_wait = std::chrono::seconds(60);
  /// How often Sweep runs.
  Milliseconds sweep_interval = std::chrono::seconds(1);
  /// Unfinished work that no task goes on from is forgotten after this long.
  Milliseconds checkpoint_keep = std::chrono::hours(72);
  /// What was asked under a request id is remembered for this long, at least.
  Milliseconds request_keep = std::chrono::hours(24);
  /// Jobs are deleted when they ended so long ago; 0: never.
  Milliseconds job_keep = std::chrono::hours(0);
  /// Results that nobody used for so long are forgotten; 0: never.
  Milliseconds result_keep = std::chrono::hours(0);
  /// Blobs that nothing refers to are removed when they were not used for so long; 0: never.
  Milliseconds blob_keep = std::chrono::hours(72);
  /// Workers that were not seen for so long are forgotten; 0: never.
  Milliseconds worker_keep = std::chrono::hours(0);
  std::int64_t largest_spec_bytes = 64 << 10;
  std::int64_t largest_log_append = 1 << 20;
  std::uint64_t largest_tree_bytes = 16 << 20;  ///< of the text that lists a tree's files
};

}  // namespace tyllm::server::core
