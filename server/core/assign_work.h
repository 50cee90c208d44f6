// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <vector>

#include "server/sched/bench.h"
#include "server/sched/placement.h"
#include "server/store/queue.h"

namespace tyllm::server::core {

/// A worker with free slots, and the farm around it at the moment of its call.
struct FreeWorker {
  store::WorkerSession session;
  sched::Asking asking;
  sched::Slots slots;  ///< of all workers that take work
  int free_slots = 0;
  domain::Resources used;       ///< by its tasks, as they are taken to
  sched::Trouble trouble = {};  ///< of its machine
  /// Tasks that want a larger GPU than it has, by what was seen of late, and how large; empty where
  /// nobody has a larger one.
  std::map<sched::SizeClass, std::int64_t> too_large = {};
};

/// A task that a worker gets.
struct Given {
  store::Lease lease;
  domain::Resources resources;
  std::int64_t waited_ms = 0;  ///< since it was due
  bool missed = false;         ///< it might have used a result, and begins because there is none
};

/// Leases what the worker gets now: lanes in the fair order, of each lane the first task that is
/// for this worker. On the store's thread, so that every choice sees the ones before it.
Result<std::vector<Given>> AssignWork(store::Queue& queue, FreeWorker worker,
                                      const sched::Policy& policy, std::int64_t now);

}  // namespace tyllm::server::core
