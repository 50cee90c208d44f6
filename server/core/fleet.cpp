// SPDX-License-Identifier: Apache-2.0
#include "server/core/fleet.h"

#include <algorithm>

namespace tyllm::server::core {

const Fleet::Member* Fleet::Find(const std::string& worker) const {
  const auto it = members_.find(worker);
  return it == members_.end() ? nullptr : &it->second;
}

std::vector<sched::Online> Fleet::OnlineSince(Clock::Steady since) const {
  std::vector<sched::Online> online;
  for (const auto& [name, member] : members_) {
    if (member.seen >= since && member.state != nullptr) {
      online.push_back(
          {.worker = member.state,
           .free_slots = member.free_slots,
           .takes_work = member.order.mode == domain::WorkerMode::kActive && !member.draining});
    }
  }
  return online;
}

std::int64_t Fleet::LargestGpuMemory() const {
  std::int64_t largest = 0;
  for (const auto& [name, member] : members_) {
    if (member.state != nullptr) {
      largest = std::max(largest, member.state->capabilities.gpu_memory_bytes);
    }
  }
  return largest;
}

}  // namespace tyllm::server::core
