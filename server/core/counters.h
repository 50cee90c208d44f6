// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

namespace tyllm::server::core {

/// Counted since the start, for metrics. Written by the control thread, read by any.
struct Counters {
  using Count = std::atomic<std::int64_t>;
  Count jobs_submitted = 0;
  Count attempts_started = 0;
  Count attempts_succeeded = 0;
  Count attempts_failed = 0;
  Count attempts_lease_lost = 0;
  Count attempts_stalled = 0;
  Count attempts_late = 0;
  Count fenced_calls = 0;  ///< of stale attempts, refused
  Count cache_hits = 0;
  Count log_bytes = 0;
};

}  // namespace tyllm::server::core
