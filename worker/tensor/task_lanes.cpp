// SPDX-License-Identifier: Apache-2.0
#include "worker/tensor/task_lanes.h"

#include <algorithm>
#include <atomic>

namespace tyllm::tensor {

TaskLanes::TaskLanes(int threads)
    : pool_(threads), scratch_(static_cast<std::size_t>(pool_.threads())) {}

void TaskLanes::ForEach(std::int64_t tasks, const Body& body) {
  std::atomic<std::int64_t> next = 0;
  pool_.ParallelFor(std::min<std::int64_t>(tasks, threads()), [&](std::int64_t lane) {
    std::vector<float>& scratch = scratch_[static_cast<std::size_t>(lane)];
    for (std::int64_t task = next++; task < tasks; task = next++) {
      body(task, scratch);
    }
  });
}

void TaskLanes::ForRuns(std::int64_t count, std::int64_t run,
                        const std::function<void(std::int64_t, std::int64_t)>& body) {
  pool_.ParallelFor((count + run - 1) / run, [&](std::int64_t task) {
    body(task * run, std::min(count, (task + 1) * run));
  });
}

}  // namespace tyllm::tensor
