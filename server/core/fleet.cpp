// SPDX-License-Identifier: Apache-2.0
#include "server/core/fleet.h"

namespace tyllm::server::core {

const Fleet::Member* Fleet::Find(const std::string& worker) const {
  const auto it = members_.find(worker);
  return it == members_.end() ? nullptr : &it->second;
}

std::vector<std::string> Fleet::TakingWork(Clock::Steady since, const std::string& asking) const {
  std::vector<std::string> names;
  for (const auto& [name, member] : members_) {
    if (name != asking && member.seen >= since &&
        member.order.mode == domain::WorkerMode::kActive && !member.draining) {
      names.push_back(name);
    }
  }
  return names;
}

}  // namespace tyllm::server::core
