// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "worker/simulator/crew.h"
#include "worker/simulator/die_program.h"

namespace tyllm::simulator {

/// Called after a segment and its collective with die 0's numbers of it; empty where a segment has
/// no collective. From one of the executor's threads, one call at a time.
using SegmentObserver = std::function<void(std::size_t segment, std::span<const float> numbers)>;

/// A part of a phase as a worker ran it, or the sum over the dies after a segment.
struct TaskSpan {
  static constexpr std::uint32_t kCollective = 0xFFFFFFFF;

  std::uint32_t call = 0;  ///< of Run, counted from when recording began
  std::uint32_t segment = 0;
  std::uint32_t phase = 0;  ///< or kCollective
  std::uint32_t die = 0;
  std::chrono::steady_clock::time_point begin;
  std::chrono::steady_clock::time_point end;
};

/// Segments [begin, end) of a program; by default all that it has.
struct SegmentRange {
  std::size_t begin = 0;
  std::size_t end = SIZE_MAX;
};

/// What each worker did, in its order: [workers].
using TaskLog = std::vector<std::vector<TaskSpan>>;

/// Runs the dies of a program phase by phase: workers take parts of all dies' phases from one
/// queue, so that two threads are as busy with one die as with three. Does the collectives in
/// between in die order: results are the same bits for any number of threads. One call at a time.
class Executor {
 public:
  /// `threads` 0: as many as this process has cores. Never more than there can be parts.
  explicit Executor(std::int64_t dies, std::int64_t threads = 0);

  std::int64_t workers() const { return crew_.workers(); }

  /// All dies have the same segments. Begin must have been called on each with a call of `tokens`.
  void Run(std::span<DieProgram* const> dies, std::int64_t tokens,
           const SegmentObserver& observer = {}, SegmentRange range = {});

  /// From now on each Run adds to `log` what was done when; nullptr: no more. Outlives the runs.
  void Record(TaskLog* log);

 private:
  class Pass;

  Crew crew_;
  TaskLog* log_ = nullptr;
  std::uint32_t call_ = 0;
};

}  // namespace tyllm::simulator
