// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/executor.h"

#include <sched.h>

#include <algorithm>
#include <vector>

#include "worker/simulator/segment_barrier.h"

namespace tyllm::simulator {

namespace {

int UsableCores() {
  cpu_set_t set;
  return ::sched_getaffinity(0, sizeof(set), &set) == 0 ? std::max(1, CPU_COUNT(&set)) : 1;
}

int WorkersFor(std::int64_t dies, std::int64_t threads) {
  const std::int64_t wanted = threads > 0 ? threads : UsableCores();
  return static_cast<int>(std::clamp<std::int64_t>(wanted, 1, dies));
}

/// This worker's slice of the sum of all dies' buffers, into each of them.
void AllReduceSlice(std::span<float* const> buffers, std::int64_t count, std::int64_t worker,
                    std::int64_t workers) {
  const std::int64_t begin = count * worker / workers;
  const std::int64_t end = count * (worker + 1) / workers;
  float* const first = buffers[0];
  for (const float* const other : buffers.subspan(1)) {
    for (std::int64_t i = begin; i < end; ++i) {
      first[i] += other[i];
    }
  }
  for (float* const other : buffers.subspan(1)) {
    std::copy(first + begin, first + end, other + begin);
  }
}

}  // namespace

Executor::Executor(std::int64_t dies, std::int64_t threads) : pool_(WorkersFor(dies, threads)) {}

void Executor::Run(std::span<DieProgram* const> dies, std::int64_t tokens) {
  const std::int64_t workers = this->workers();
  SegmentBarrier barrier(static_cast<std::int32_t>(workers));
  // Each index blocks its thread until all workers are through, so each thread gets one.
  pool_.ParallelFor(workers, [&](std::int64_t worker) {
    const std::span<const SegmentEnd> segments = dies[0]->segments();
    std::vector<float*> buffers(dies.size());
    for (std::size_t s = 0; s < segments.size(); ++s) {
      for (auto d = static_cast<std::size_t>(worker); d < dies.size();
           d += static_cast<std::size_t>(workers)) {
        dies[d]->Run(s);
      }
      if (segments[s].after != die::Collective::kAllReduceSum || dies.size() == 1) {
        continue;
      }
      barrier.Arrive();
      for (std::size_t d = 0; d < dies.size(); ++d) {
        buffers[d] = dies[d]->CollectiveBuffer(s);
      }
      AllReduceSlice(buffers, tokens * segments[s].columns, worker, workers);
      barrier.Arrive();
    }
  });
}

}  // namespace tyllm::simulator
