// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "common/base/digest.h"
#include "common/domain/ids.h"
#include "server/sched/matching.h"
#include "server/sched/policy.h"

namespace tyllm::server::sched {

/// A task that may be leased.
struct Candidate {
  domain::TaskId id;
  std::optional<Sha256> shared_key;    ///< tasks with one key have one result: run only one of them
  std::vector<std::string> lost_by;    ///< workers that were lost with an attempt of it
  std::vector<std::string> failed_on;  ///< workers on which one failed, stalled or was late
  /// Those of them whose own machine failed it. The queue does not tell it.
  std::vector<std::string> spoilt_by = {};
  std::vector<BlobId> inputs;  ///< trees
  /// Of their files, in the same order; empty: not known, they count alike. The queue does not tell
  /// it.
  std::vector<std::int64_t> input_bytes = {};
  std::int64_t due_ms = 0;  ///< since when it may run

  bool operator==(const Candidate&) const = default;
};

/// What a worker is and has. Shared between snapshots.
struct WorkerState {
  std::string name;
  domain::Capabilities capabilities;
  std::set<BlobId> trees;  ///< in its local cache
};

/// A worker that is online, at a moment.
struct Online {
  std::shared_ptr<const WorkerState> worker;
  int free_slots = 0;
  bool takes_work = true;  ///< nobody has cordoned or drained it
  domain::Resources used;  ///< by its tasks, as they are taken to
  bool benched = false;    ///< its machine fails what it gets (server/sched/bench.h)
};

/// Whether it could begin the task now.
bool HasRoom(const Online& worker, const Needs& needs);

/// Whether the worker was lost with an attempt of it, or its machine has failed one.
bool HasSpoilt(const std::string& worker, const Candidate& task);

/// The workers that are online. Shared between all that ask at one time.
using OnlineWorkers = std::shared_ptr<const std::vector<Online>>;

/// The worker that asks, and who there is.
struct Asking {
  std::shared_ptr<const WorkerState> worker;
  std::vector<domain::TaskId> held;  ///< tasks that it names, also of attempts that are over
  OnlineWorkers online;              ///< itself too
};

/// Which of `candidates`, the oldest tasks of one lane in order, the worker gets now: the first
/// that
/// - it does not name already (old and new attempt could not be told apart in its answers),
/// - it was not lost with, and its machine has not failed, while somebody is there, busy or not,
/// who
///   can take it and of whom neither is true,
/// - no free worker suits better, or has been waited for long enough. Better suits, in this order,
///   one on which it has not failed, that meets more preferences, that has more bytes of its
///   inputs.
/// The worker can take what the lane needs.
std::optional<std::size_t> Pick(const Asking& asking, const Needs& needs,
                                std::span<const Candidate> candidates, std::int64_t now,
                                const Policy& policy);

/// Whether the task is left to a larger GPU than the asking worker's, which has some: tasks like it
/// wanted `expected` bytes of late, which is more than this one has, and somebody is there who has
/// as much, takes work, can take the task, and neither was lost with it nor failed it. It is a
/// guess, so nothing is left for longer than policy.larger_gpu_wait, and nothing where nobody is
/// larger.
bool IsLeftToLargerGpu(const Asking& asking, const Needs& needs, const Candidate& task,
                       std::int64_t expected, std::int64_t now, const Policy& policy);

}  // namespace tyllm::server::sched
