// SPDX-License-Identifier: Apache-2.0
#include "server/core/fleet.h"

#include <algorithm>
#include <utility>

namespace tyllm::server::core {

const Fleet::Member* Fleet::Find(const std::string& worker) const {
  const auto it = members_.find(worker);
  return it == members_.end() ? nullptr : &it->second;
}

bool Fleet::IsThere(const std::string& worker, bool holds, Clock::Steady since) const {
  const Member* const member = Find(worker);
  return member != nullptr && !member->session.empty() && member->seen >= since &&
         (holds || !member->draining);
}

void Fleet::Begin(const domain::WorkerSession& from, const domain::ModeOrder& order,
                  Clock::Steady now) {
  Member& member = members_[from.worker];
  member.session = from.session;
  member.settled = false;
  member.killed.reset();  // that was another process
  SetOrder(from.worker, order, now);
}

void Fleet::Hear(const std::string& worker, std::shared_ptr<const sched::WorkerState> state,
                 bool draining, const Clock& clock) {
  Member& member = members_.at(worker);
  if (member.state != state || member.draining != draining || member.seen < online_.since) {
    online_ = {};
  }
  member.state = std::move(state);
  member.draining = draining;
  member.seen = clock.Now();
  member.seen_unix_ms = clock.UnixMillis();
  ++member.calls;
}

void Fleet::SetLoad(const std::string& worker, int free_slots, const domain::Resources& used) {
  Member& member = members_.at(worker);
  if (member.free_slots != free_slots || member.used != used) {
    online_ = {};
  }
  member.free_slots = free_slots;
  member.used = used;
}

void Fleet::NoteMachineFailure(const std::string& worker, domain::TaskId task,
                               const std::string& reason, Clock::Steady now,
                               const sched::Policy& policy) {
  const auto it = members_.find(worker);
  if (it == members_.end()) {
    return;
  }
  Member& member = it->second;
  sched::NoteMachineFailure(member.trouble, task, reason, now, policy);
  if (member.benched != sched::IsBenched(member.trouble, policy)) {
    member.benched = !member.benched;
    online_ = {};
  }
}

void Fleet::NoteSuccess(const std::string& worker) {
  const auto it = members_.find(worker);
  if (it != members_.end() && it->second.trouble.failures > 0) {
    it->second.trouble = {};
    it->second.benched = false;
    online_ = {};
  }
}

void Fleet::SetSettled(const std::string& worker, bool settled) {
  members_.at(worker).settled = settled;
}

void Fleet::SetOrder(const std::string& worker, const domain::ModeOrder& order, Clock::Steady now) {
  Member& member = members_.at(worker);
  member.order = order;
  member.trouble = {};
  member.benched = false;
  if (order.mode != domain::WorkerMode::kKilled) {
    member.killed.reset();
  } else if (!member.killed) {
    member.killed = now;
  }
  online_ = {};
}

void Fleet::Forgive(Milliseconds still, Clock::Steady now) {
  for (auto& [name, member] : members_) {
    member.seen = std::min(now, member.seen + still);
    if (member.killed) {
      member.killed = std::min(now, *member.killed + still);
    }
  }
  online_ = {};
}

void Fleet::Forget(const std::string& worker) {
  if (const auto it = members_.find(worker); it != members_.end()) {
    it->second.session.clear();
  }
}

void Fleet::DropForgotten(Clock::Steady since) {
  const auto gone = [&](const auto& one) {
    return one.second.session.empty() && one.second.seen < since;
  };
  if (std::erase_if(members_, gone) > 0) {
    online_ = {};
  }
}

sched::OnlineWorkers Fleet::OnlineSince(Clock::Steady since) const {
  Refresh(since);
  return online_.workers;
}

int Fleet::SlotsSince(Clock::Steady since) const {
  Refresh(since);
  return online_.slots;
}

void Fleet::Refresh(Clock::Steady since) const {
  if (online_.workers != nullptr && online_.oldest >= since) {
    return;
  }
  std::vector<sched::Online> workers;
  online_ = {.workers = nullptr, .slots = 0, .since = since, .oldest = Clock::Steady::max()};
  for (const auto& [name, member] : members_) {
    if (member.seen < since || member.state == nullptr) {
      continue;
    }
    const bool takes_work = member.order.mode == domain::WorkerMode::kActive && !member.draining;
    workers.push_back({.worker = member.state,
                       .free_slots = member.free_slots,
                       .takes_work = takes_work,
                       .used = member.used,
                       .benched = member.benched});
    online_.slots += takes_work && !member.benched ? member.state->capabilities.slots : 0;
    online_.oldest = std::min(online_.oldest, member.seen);
  }
  online_.workers = std::make_shared<const std::vector<sched::Online>>(std::move(workers));
}

}  // namespace tyllm::server::core
