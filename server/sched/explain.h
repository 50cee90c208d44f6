// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/domain/pending.h"
#include "common/domain/states.h"
#include "server/sched/fair_order.h"
#include "server/sched/placement.h"

namespace tyllm::server::sched {

/// The end of what is said of a task that no worker can take: not of one that does not wait.
inline constexpr std::string_view kWaitsForWorker = "; it waits for a worker that can";

/// A task that has not begun, as far as its waiting goes.
struct PendingTask {
  domain::TaskState state = domain::TaskState::kQueued;  ///< or kWaiting
  LaneKey lane;
  std::vector<std::string> waits_for;    ///< labels of tasks whose outputs are missing
  std::optional<domain::TaskId> joined;  ///< the task that runs the same action
  std::int64_t not_before_ms = 0;
  std::int64_t ahead = 0;                    ///< tasks that are served before it
  std::optional<std::int64_t> usual_run_ms;  ///< of tasks like it, of late
  std::int64_t wanted_gpu_memory = 0;        ///< likewise (RunHistory::MostUsed)
  /// Workers that were lost with it or whose machine failed it: it is left to others (Pick).
  std::vector<std::string> spoilt_by = {};
};

/// Why it does not run, the first of: nobody can take it (said even of one whose inputs are still
/// missing), inputs, the same action runs, a pause after a failure, the project's limit, everybody
/// is busy or has too small a GPU by what was seen, others come first, it is about to start.
/// `online` are the workers that are there.
domain::Pending ExplainPending(const PendingTask& task, std::span<const Online> online,
                               const Shares& shares, std::int64_t now);

/// "gpu_memory_bytes is to be at least 80.0 GiB, the best on offer is 24.0 GiB": for people.
std::string InWords(const domain::Shortfall& shortfall);

}  // namespace tyllm::server::sched
