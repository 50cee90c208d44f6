// SPDX-License-Identifier: Apache-2.0
#include "server/core/attempts.h"

#include <algorithm>
#include <set>

namespace tyllm::server::core {

namespace {

bool IsFurther(const domain::Checkpoint& now, const std::optional<domain::Checkpoint>& before) {
  return !before || now.stage != before->stage || now.done > before->done;
}

}  // namespace

void Attempts::Follow(const store::HeldTask& task, const Clock& clock) {
  const Clock::Steady now = clock.Now();
  const Milliseconds age(std::max<std::int64_t>(0, clock.UnixMillis() - task.started_unix_ms));
  const Live fresh{.task = task,
                   .times = {now, now, now - age, std::nullopt},
                   .progress = {},
                   .pace = {now, 0},
                   .checkpoint = {},
                   .advanced = false,
                   .toolchain_version = {},
                   .key = {}};
  Live& live = live_.try_emplace(task.id, fresh).first->second;
  live.task = task;
  if (task.state == domain::TaskState::kCancelling && !live.times.stopping) {
    live.times.stopping = now;
  }
}

bool Attempts::Heard(const domain::AttemptId& id, const domain::Progress& progress,
                     Clock::Steady now) {
  const auto it = live_.find(id);
  if (it == live_.end()) {
    return false;
  }
  Live& live = it->second;
  live.times.heard = now;
  if (live.progress == progress) {
    return false;
  }
  live.times.progressed = now;
  if (live.progress.stage != progress.stage || progress.done < live.progress.done) {
    live.pace = {now, progress.done};
  }
  live.progress = progress;
  return true;
}

void Attempts::NoteAction(const store::Lease& lease, const std::string& toolchain_version) {
  if (const auto it = live_.find(lease.id); it != live_.end()) {
    it->second.checkpoint = lease.checkpoint;
    it->second.toolchain_version = toolchain_version;
    it->second.size = sched::SizeClassOf(lease.spec);
    it->second.key = domain::ActionKey(lease.spec, lease.inputs, toolchain_version);
  }
}

bool Attempts::IsNewCheckpoint(const domain::AttemptId& id,
                               const domain::Checkpoint& checkpoint) const {
  const Live* const live = Find(id);
  return live == nullptr || live->checkpoint != checkpoint;
}

void Attempts::NoteCheckpoint(const domain::AttemptId& id, const domain::Checkpoint& checkpoint) {
  if (const auto it = live_.find(id); it != live_.end()) {
    Live& live = it->second;
    // One that this server has not given may only repeat what it went on from.
    const bool known = live.key || live.checkpoint;
    live.advanced = live.advanced || (known && IsFurther(checkpoint, live.checkpoint));
    live.checkpoint = checkpoint;
  }
}

void Attempts::Forgive(Milliseconds still, Clock::Steady now) {
  for (auto& [id, live] : live_) {
    live.times = sched::Without(live.times, still, now);
    live.pace.since = std::min(now, live.pace.since + still);
  }
}

const Attempts::Live* Attempts::Find(const domain::AttemptId& id) const {
  const auto it = live_.find(id);
  return it == live_.end() ? nullptr : &it->second;
}

void Attempts::AddProgress(domain::JobView& job) const {
  for (domain::TaskView& task : job.tasks) {
    const Live* const live = Find({task.id, task.attempt});
    if (live != nullptr && IsHeld(task.state)) {
      task.progress = live->progress;
    }
  }
}

void Attempts::KeepOnly(const std::vector<domain::AttemptId>& running) {
  const std::set<domain::AttemptId> kept(running.begin(), running.end());
  std::erase_if(live_, [&](const auto& entry) { return !kept.contains(entry.first); });
}

std::vector<Attempts::Overdue> Attempts::FindOverdue(Clock::Steady now,
                                                     const sched::Policy& policy) const {
  std::vector<Overdue> overdue;
  for (const auto& [id, live] : live_) {
    if (const auto ending = sched::Overdue(live.times, live.task.kind, now, policy)) {
      overdue.push_back({id, *ending});
    }
  }
  return overdue;
}

}  // namespace tyllm::server::core
