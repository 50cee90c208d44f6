// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "common/base/parallel.h"

namespace tyllm::tensor {

/// A thread pool whose tasks have scratch memory that outlives them: one buffer a thread, kept from
/// call to call. Which thread runs which task is left to chance, so a task writes only what belongs
/// to its number.
class TaskLanes {
 public:
  /// See ThreadPool.
  explicit TaskLanes(int threads);

  int threads() const { return pool_.threads(); }

  using Body = std::function<void(std::int64_t task, std::vector<float>& scratch)>;
  void ForEach(std::int64_t tasks, const Body& body);

  /// body(first, last) for consecutive runs of at most `run` of the numbers in [0, count).
  void ForRuns(std::int64_t count, std::int64_t run,
               const std::function<void(std::int64_t first, std::int64_t last)>& body);

 private:
  ThreadPool pool_;
  std::vector<std::vector<float>> scratch_;
};

}  // namespace tyllm::tensor
