// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/executor.h"

#include <sched.h>

#include <algorithm>

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
void AllReduceSlice(std::span<DieProgram* const> dies, std::size_t segment, std::int64_t count,
                    std::int64_t worker, std::int64_t workers) {
  const std::int64_t begin = count * worker / workers;
  const std::int64_t end = count * (worker + 1) / workers;
  float* const first = dies[0]->CollectiveBuffer(segment);
  for (DieProgram* const die : dies.subspan(1)) {
    const float* const other = die->CollectiveBuffer(segment);
    for (std::int64_t i = begin; i < end; ++i) {
      first[i] += other[i];
    }
  }
  for (DieProgram* const die : dies.subspan(1)) {
    std::copy(first + begin, first + end, die->CollectiveBuffer(segment) + begin);
  }
}

}  // namespace

Executor::Executor(std::int64_t dies, std::int64_t threads) : pool_(WorkersFor(dies, threads)) {}

void Executor::Run(std::span<DieProgram* const> dies, std::int64_t tokens,
                   const SegmentObserver& observer) {
  const std::int64_t workers = this->workers();
  const std::span<const SegmentEnd> segments = dies[0]->segments();
  SegmentBarrier barrier(static_cast<std::int32_t>(workers));
  // Each index blocks its thread until all workers are through, so each thread gets one.
  pool_.ParallelFor(workers, [&](std::int64_t worker) {
    for (std::size_t s = 0; s < segments.size(); ++s) {
      for (auto d = static_cast<std::size_t>(worker); d < dies.size();
           d += static_cast<std::size_t>(workers)) {
        dies[d]->Run(s);
      }
      const bool sums = segments[s].after == die::Collective::kAllReduceSum;
      if (sums && dies.size() > 1) {
        barrier.Arrive();
        AllReduceSlice(dies, s, tokens * segments[s].columns, worker, workers);
        barrier.Arrive();
      }
      if (worker == 0 && observer) {  // die 0 is this worker's: nobody writes its buffer now
        const auto count = static_cast<std::size_t>(sums ? tokens * segments[s].columns : 0);
        observer(s, sums ? std::span<const float>(dies[0]->CollectiveBuffer(s), count)
                         : std::span<const float>());
      }
    }
  });
}

}  // namespace tyllm::simulator
