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

/// Of what is asked for.
enum class Variety {
  kWide,     ///< jobs of all kinds, seldom the same twice
  kCrowded,  ///< nearly all want one of two actions, in a few lanes: they wait for each other
};

/// Operations as a farm makes them, and as a confused one does: workers, attempts and jobs are
/// mostly right ones of `queue`, sometimes stale or made up.
class RandomOperations {
 public:
  explicit RandomOperations(std::uint64_t seed, Variety variety = Variety::kWide)
      : random_(seed), variety_(variety) {}

  /// Looks at `queue`, between its Begin and Commit.
  Operation Next(Queue& queue, std::int64_t now);

 private:
  std::int64_t Below(std::int64_t limit);
  AttemptId AnyAttempt(Queue& queue);
  TaskId AnyTask(Queue& queue, std::int64_t now);
  WorkerSession AnyWorker();
  NewJob AnyJob(const std::string& request_id);
  NewJob Anybodys(NewJob job);
  std::string AnyCaller();
  Operation Change(std::int64_t now);
  Operation Submit(std::int64_t now);
  Operation Start(Queue& queue, std::int64_t now);
  Operation Succeed(Queue& queue, std::int64_t now);
  Operation End(Queue& queue, std::int64_t now);
  Operation Checkpoint(Queue& queue, std::int64_t now);
  Operation OfResults(Queue& queue, std::int64_t now);
  Operation Compiler(Queue& queue, std::int64_t now);

  std::mt19937_64 random_;
  Variety variety_;
  std::int64_t requests_ = 0;
};

}  // namespace tyllm::server::store
