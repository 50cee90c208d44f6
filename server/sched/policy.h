// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <map>
#include <optional>

#include "common/base/clock.h"
#include "common/domain/job.h"

namespace tyllm::server::sched {

/// The three clocks of an attempt.
struct Clocks {
  /// A worker that says nothing for this long has lost the attempt.
  Milliseconds lease{};
  /// An attempt without any change of its progress for this long is stuck.
  Milliseconds stall{};
  /// An attempt may take this long in all.
  Milliseconds deadline{};

  bool operator==(const Clocks&) const = default;
};

/// What a kind of task has instead of the usual.
struct OwnClocks {
  std::optional<Milliseconds> lease;
  std::optional<Milliseconds> stall;
  std::optional<Milliseconds> deadline;
};

/// How projects share the farm.
struct Fairness {
  /// Use that lies this far back counts half.
  Milliseconds half_life = std::chrono::hours(24);
  /// A worker without GPU costs this many device-seconds a second; one with costs 1.
  double cpu_rate = 0.1;
  /// A task counts from its start as if it had run this long: many that start at once are not free.
  Milliseconds entry = std::chrono::minutes(1);
  /// Waiting this long is worth one point of priority, so that nothing waits for ever.
  Milliseconds ageing = std::chrono::minutes(10);
  /// What being interactive is worth within a project, in points of priority.
  int interactive_points = 100;
  /// Interactive tasks go before everybody's while fewer than this part of all slots (and at least
  /// one slot) runs such tasks...
  double interactive_share = 0.25;
  /// ...unless their project has had more than this many times its due already.
  double interactive_excess = 2.0;
};

/// How long things may take and how often they are tried. Every decision of this folder is a
/// function of a snapshot, the time and this.
struct Policy {
  /// The usual clocks.
  Milliseconds lease = std::chrono::seconds(30);
  Milliseconds stall = std::chrono::minutes(30);
  Milliseconds deadline = std::chrono::hours(12);
  /// Of kinds of tasks that differ.
  std::map<domain::TaskKind, OwnClocks> by_kind;
  /// Added to a lease, so that the worker, which counts from when it called, stops first. A server
  /// that restarts gives every attempt lease and grace anew.
  Milliseconds lease_grace = std::chrono::seconds(15);
  /// The server looks this often whether it runs at all. Where it did not for longer than this and
  /// `standstill`, it stood still, and no clock of an attempt went on meanwhile.
  Milliseconds beat = std::chrono::seconds(1);
  Milliseconds standstill = std::chrono::seconds(3);
  /// A worker that is there may take this long to stop a cancelled attempt; then the task counts as
  /// cancelled without its word.
  Milliseconds stop = std::chrono::minutes(2);
  /// Attempts that may fail, stall or be late before the task fails. Those that failed by the
  /// machine of one worker count as one, until there are three times as many in all.
  int failures = 3;
  /// Workers that may be lost with an attempt before the task fails: it may be what kills them.
  /// Where there are fewer workers, three times as many losses are enough. Losses start anew when
  /// an attempt got further with its work, as checkpoints tell.
  int losses = 3;
  /// The longest wait before another attempt, whatever the class of the failure.
  Milliseconds longest_backoff = std::chrono::minutes(10);
  /// A worker whose own machine failed so many different tasks in a row gets nothing for a while,
  /// then one task at a time until one succeeds (server/sched/bench.h). 0: never.
  int bench_failures = 3;
  Milliseconds bench = std::chrono::minutes(1);
  Milliseconds longest_bench = std::chrono::minutes(10);
  /// Failures that lie further back are not held against a worker.
  Milliseconds bench_memory = std::chrono::hours(1);
  /// A task is left this long to a free worker that suits it better (its inputs are there, a
  /// preference is met, it has not failed there).
  Milliseconds placement_wait = std::chrono::seconds(5);
  /// A task is left this long to a GPU of the size that tasks like it wanted of late.
  Milliseconds larger_gpu_wait = std::chrono::hours(1);
  /// A job waits this long for the compiler that some of its programs were made with, while nobody
  /// has it and somebody has another.
  Milliseconds compiler_wait = std::chrono::minutes(10);
  Fairness fairness;

  /// A worker that was silent for so long is not there.
  Milliseconds Presence() const { return 2 * lease; }

  /// The longest that a call of a worker without attempts is held: it calls again in time.
  Milliseconds IdleWait() const { return lease * 3 / 2; }

  Clocks ClocksOf(domain::TaskKind kind) const {
    const auto own = by_kind.find(kind);
    if (own == by_kind.end()) {
      return {lease, stall, deadline};
    }
    return {own->second.lease.value_or(lease), own->second.stall.value_or(stall),
            own->second.deadline.value_or(deadline)};
  }
};

}  // namespace tyllm::server::sched
