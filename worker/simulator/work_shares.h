// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

namespace tyllm::simulator {

/// Numbered tasks that the workers of an executor share out, round after round. Each worker has a
/// stretch of its own, of which it takes the first half of what is left at a time: neighbouring
/// tasks read neighbouring memory. Who has nothing left takes the other half of another's. A worker
/// that is slow, or whose core is taken away, ends up with less; and no word in memory is written
/// by all. Any thread may call, each with its own worker number.
class WorkShares {
 public:
  static constexpr std::uint32_t kMostTasks = 0xFFFF;

  /// Tasks [begin, end).
  struct Stretch {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;

    bool empty() const { return begin >= end; }
  };

  explicit WorkShares(std::uint32_t workers) : stretches_(workers) {}

  /// What a worker has of `tasks` before it or another takes any.
  Stretch Own(std::uint32_t worker, std::uint32_t tasks) const {
    const std::uint64_t workers = stretches_.size();
    return {static_cast<std::uint32_t>(tasks * std::uint64_t{worker} / workers),
            static_cast<std::uint32_t>(tasks * (std::uint64_t{worker} + 1) / workers)};
  }

  /// The next tasks of round `round` (1, 2, ...), of `tasks` (at most kMostTasks); empty when none
  /// are left. Between two rounds all workers meet.
  Stretch Take(std::uint32_t worker, std::uint32_t round, std::uint32_t tasks) {
    const auto workers = static_cast<std::uint32_t>(stretches_.size());
    if (tasks == 1) {  // whoever comes first
      return TakeFrom(workers - 1, round, tasks, true);
    }
    for (std::uint32_t i = 0; i < workers; ++i) {
      const std::uint32_t from = (worker + i) % workers;
      if (const Stretch taken = TakeFrom(from, round, tasks, i == 0); !taken.empty()) {
        return taken;
      }
    }
    return {};
  }

 private:
  /// Round, begin and end of what is left: a stretch of an earlier round has not been begun.
  struct alignas(64) Left {
    std::atomic<std::uint64_t> packed = 0;
  };

  static std::uint64_t Pack(std::uint32_t round, Stretch left) {
    return std::uint64_t{round} << 32U | std::uint64_t{left.begin} << 16U | left.end;
  }

  Stretch TakeFrom(std::uint32_t whose, std::uint32_t round, std::uint32_t tasks, bool own) {
    std::atomic<std::uint64_t>& packed = stretches_[whose].packed;
    std::uint64_t now = packed.load(std::memory_order_relaxed);
    while (true) {
      Stretch left{static_cast<std::uint32_t>(now >> 16U & kMostTasks),
                   static_cast<std::uint32_t>(now & kMostTasks)};
      if (now >> 32U != round) {
        left = Own(whose, tasks);
      }
      if (left.empty()) {
        return {};
      }
      const std::uint32_t count = (left.end - left.begin + 1) / 2;
      const Stretch taken =
          own ? Stretch{left.begin, left.begin + count} : Stretch{left.end - count, left.end};
      const Stretch rest = own ? Stretch{taken.end, left.end} : Stretch{left.begin, taken.begin};
      if (packed.compare_exchange_weak(now, Pack(round, rest), std::memory_order_relaxed)) {
        return taken;
      }
    }
  }

  std::vector<Left> stretches_;
};

}  // namespace tyllm::simulator
