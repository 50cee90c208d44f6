// SPDX-License-Identifier: Apache-2.0
#include "server/sched/assignment.h"

#include <algorithm>
#include <set>

namespace tyllm::server::sched {

namespace {

template <typename T>
bool Contains(const std::vector<T>& all, const T& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

// Somebody else may have better luck with it.
bool BetterElsewhere(const Candidate& candidate, const Asking& asking) {
  return Contains(candidate.lost_by, asking.worker) &&
         std::any_of(asking.others.begin(), asking.others.end(),
                     [&](const std::string& other) { return !Contains(candidate.lost_by, other); });
}

}  // namespace

std::vector<domain::TaskId> Choose(const Asking& asking, std::span<const Candidate> candidates) {
  std::vector<domain::TaskId> chosen;
  std::set<Sha256> keys;
  for (const Candidate& candidate : candidates) {
    if (static_cast<int>(chosen.size()) >= asking.free_slots) {
      break;
    }
    // Old and new attempt of a task on one worker could not be told apart in its answers.
    if (Contains(asking.held, candidate.id) || BetterElsewhere(candidate, asking)) {
      continue;
    }
    if (candidate.shared_key && !keys.insert(*candidate.shared_key).second) {
      continue;
    }
    chosen.push_back(candidate.id);
  }
  return chosen;
}

}  // namespace tyllm::server::sched
