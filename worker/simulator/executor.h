// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "common/base/parallel.h"
#include "worker/simulator/die_program.h"

namespace tyllm::simulator {

/// Called after a segment and its collective with die 0's numbers of it; empty where a segment has
/// no collective. From one of the executor's threads, one call at a time.
using SegmentObserver = std::function<void(std::size_t segment, std::span<const float> numbers)>;

/// Runs the dies of a program segment by segment on at most as many threads as there are dies or
/// cores, and does the collectives in between in die order: results are the same bits for any
/// number of threads. One call at a time.
class Executor {
 public:
  /// `threads` 0: as many as this process has cores; never more than `dies`.
  explicit Executor(std::int64_t dies, std::int64_t threads = 0);

  std::int64_t workers() const { return pool_.threads(); }

  /// All dies have the same segments. Begin must have been called on each with a call of `tokens`.
  void Run(std::span<DieProgram* const> dies, std::int64_t tokens,
           const SegmentObserver& observer = {});

 private:
  ThreadPool pool_;
};

}  // namespace tyllm::simulator
