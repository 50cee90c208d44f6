// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <random>
#include <string>

#include "server/store/queue.h"

namespace tyllm::server::store {

/// One operation that can be made on any queue; its status is what it says of itself.
struct Operation {
  std::string name;
  std::function<Status(Queue&)> run;
};

/// Operations as a farm makes them, and as a confused one does: workers, attempts and jobs are
/// mostly right ones of `queue`, sometimes stale or made up.
class RandomOperations {
 public:
  explicit RandomOperations(std::uint64_t seed) : random_(seed) {}

  /// Looks at `queue`, between its Begin and Commit.
  Operation Next(Queue& queue, std::int64_t now);

 private:
  std::int64_t Below(std::int64_t limit);
  AttemptId AnyAttempt(Queue& queue);
  TaskId AnyTask(Queue& queue, std::int64_t now);
  WorkerSession AnyWorker();
  Operation Submit(std::int64_t now);
  Operation Start(Queue& queue, std::int64_t now);
  Operation Succeed(Queue& queue, std::int64_t now);
  Operation End(Queue& queue, std::int64_t now);
  Operation Checkpoint(Queue& queue, std::int64_t now);

  std::mt19937_64 random_;
  std::int64_t requests_ = 0;
};

}  // namespace tyllm::server::store
