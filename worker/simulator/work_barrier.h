// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

#include "worker/simulator/active_wait.h"

namespace tyllm::simulator {

/// Where the workers of an executor meet when a phase has no tasks left. Waits a moment actively,
/// then sleeps: others may want these cores (docs/adr/0010-segments-not-threads.md has what it
/// costs to spin for longer).
class WorkBarrier {
 public:
  explicit WorkBarrier(std::int32_t workers) : workers_(workers) {}

  /// Returns when all workers have arrived; what they wrote before is visible after. The last one
  /// does `last` before it lets the others go, who do `meanwhile` first.
  template <typename Last, typename Meanwhile>
  void Arrive(Last last, Meanwhile meanwhile) {
    const std::uint32_t round = round_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == workers_) {
      last();
      arrived_.store(0, std::memory_order_relaxed);
      round_.store(round + 1, std::memory_order_release);
      if (workers_ > 1) {
        round_.notify_all();
      }
      return;
    }
    meanwhile();
    WaitWhile(round_, round, kSpins);
  }

 private:
  static constexpr int kSpins = 2000;

  const std::int32_t workers_;
  alignas(64) std::atomic<std::int32_t> arrived_ = 0;
  alignas(64) std::atomic<std::uint32_t> round_ = 0;
};

}  // namespace tyllm::simulator
