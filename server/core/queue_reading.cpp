// SPDX-License-Identifier: Apache-2.0
#include "server/core/queue_reading.h"

#include <algorithm>

namespace tyllm::server::core {

namespace {

/// Positions are told up to here.
constexpr std::int64_t kFarthest = 1000;

}  // namespace

std::vector<sched::Online> OnlineNow(const Farm& farm) {
  return *farm.fleet.OnlineSince(farm.parts.clock.Now() - farm.parts.limits.policy.Presence());
}

bool Compete(const std::vector<sched::Online>& online, const sched::Needs& a,
             const sched::Needs& b) {
  return std::any_of(online.begin(), online.end(), [&](const sched::Online& one) {
    return one.takes_work && CanTake(one.worker->capabilities, a) &&
           CanTake(one.worker->capabilities, b);
  });
}

Status QueueReading::Look() {
  TYLLM_ASSIGN(shares_, queue_.Shares(now_));
  TYLLM_ASSIGN(lanes_, queue_.Lanes(now_));
  return OkStatus();
}

Result<std::int64_t> QueueReading::Ahead(const sched::LaneKey& key, domain::JobId job) {
  std::vector<sched::Lane> lanes = lanes_;
  const auto is_own = [&](const sched::Lane& lane) { return lane.key == key; };
  if (std::none_of(lanes.begin(), lanes.end(), is_own)) {
    lanes.push_back({.id = 0, .key = key, .oldest_job = job, .oldest_queued_ms = now_});
  }
  std::int64_t ahead = 0;
  for (const std::size_t i : sched::FairOrder(lanes, shares_, SlotsOf(), now_, fairness_)) {
    const bool own = is_own(lanes[i]);
    if (!own && !Compete(online_, lanes[i].key.needs, key.needs)) {
      continue;
    }
    TYLLM_ASSIGN(const std::int64_t count,
                 queue_.CountBefore(lanes[i].id, own ? job : kLastJob, kFarthest - ahead));
    ahead += count;
    if (own || ahead >= kFarthest) {
      break;
    }
  }
  return ahead;
}

sched::Slots QueueReading::SlotsOf() const {
  sched::Slots slots;
  for (const sched::Online& one : online_) {
    slots.total += one.takes_work ? one.worker->capabilities.slots : 0;
  }
  return slots;
}

}  // namespace tyllm::server::core
