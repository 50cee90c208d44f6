// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/base/digest.h"
#include "common/domain/ids.h"

namespace tyllm::server::sched {

/// A task that may be leased.
struct Candidate {
  domain::TaskId id;
  std::optional<Sha256> shared_key;  ///< tasks with one key have one result: run only one of them
  std::vector<std::string> lost_by;  ///< names of workers that lost an attempt of it

  bool operator==(const Candidate&) const = default;
};

/// The worker that asks, and who else there is.
struct Asking {
  std::string worker;
  int free_slots = 0;                ///< slots less what it holds
  std::vector<domain::TaskId> held;  ///< tasks that it names, also of attempts that are over
  std::vector<std::string> others;   ///< other workers that are online and take work
};

/// Which of `candidates`, which come in the order of the queue (jobs first in first out, tasks in
/// plan order), the worker gets now. It does not get a task that it lost before while somebody is
/// there who did not lose it.
std::vector<domain::TaskId> Choose(const Asking& asking, std::span<const Candidate> candidates);

}  // namespace tyllm::server::sched
