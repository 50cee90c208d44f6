// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/domain/ids.h"
#include "server/sched/matching.h"
#include "server/sched/shares.h"

namespace tyllm::server::sched {

/// Queued tasks that differ in nothing that the scheduler looks at but their age: within a lane the
/// order is first in, first out.
struct LaneKey {
  std::string project;
  domain::JobClass job_class = domain::JobClass::kBatch;
  std::int32_t priority = 0;
  Needs needs;

  bool operator==(const LaneKey&) const = default;
};

/// A lane with something in it.
struct Lane {
  std::int64_t id = 0;
  LaneKey key;
  domain::JobId oldest_job;
  std::int64_t oldest_queued_ms = 0;

  bool operator==(const Lane&) const = default;
};

/// How many tasks the online workers could run at a time.
struct Slots {
  std::int64_t total = 0;
};

/// Indices of `lanes` in the order in which they are served:
/// 1. interactive ones, while their part of all slots is not full and their project is not far over
///    its due;
/// 2. projects by what they have had of late, by weight, the least first;
/// 3. within a project by priority, to which being interactive and waiting long add;
/// 4. the oldest job first.
/// Lanes of projects that run as much as they may at a time are left out.
std::vector<std::size_t> FairOrder(std::span<const Lane> lanes, const Shares& shares, Slots slots,
                                   std::int64_t now, const Fairness& fairness);

/// Notes that a task of the lane has started on a worker of this rate, for the next choice.
void NoteStart(Shares& shares, const LaneKey& lane, double rate);

/// Whether the project runs as much as it may at a time.
bool AtRunningLimit(const Shares& shares, const std::string& project);

}  // namespace tyllm::server::sched
