// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "server/core/farm.h"
#include "server/sched/fair_order.h"

namespace tyllm::server::core {

/// Workers that were heard of within a lease's time.
std::vector<sched::Online> OnlineNow(const Farm& farm);

/// Some worker can do both, so that one may keep the other waiting.
bool Compete(const std::vector<sched::Online>& online, const sched::Needs& a,
             const sched::Needs& b);

/// The queue as it bears on a waiting task, at one moment. On the store's thread.
class QueueReading {
 public:
  QueueReading(store::Queue& queue, const std::vector<sched::Online>& online,
               const sched::Fairness& fairness, std::int64_t now)
      : queue_(queue), online_(online), fairness_(fairness), now_(now) {}

  Status Look();

  const sched::Shares& shares() const { return shares_; }

  /// Tasks that are served before one of `job` in such a lane; counted up to a thousand.
  Result<std::int64_t> Ahead(const sched::LaneKey& key, domain::JobId job);

 private:
  sched::Slots SlotsOf() const;

  store::Queue& queue_;
  const std::vector<sched::Online>& online_;
  const sched::Fairness& fairness_;
  const std::int64_t now_;
  sched::Shares shares_;
  std::vector<sched::Lane> lanes_;
};

/// After every other.
inline constexpr domain::JobId kLastJob{INT64_MAX};

}  // namespace tyllm::server::core
