// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>

#include "common/domain/worker_sync.h"
#include "server/sched/policy.h"

namespace tyllm::server::sched {

/// What a project has had and has at a moment. Device-seconds: a second of a worker with a GPU is
/// 1, of one without Fairness::cpu_rate.
struct Share {
  double weight = 1;
  double used_seconds = 0;     ///< of attempts that have ended, decayed to the moment
  double running_seconds = 0;  ///< of running attempts, since their start
  double running_rate = 0;     ///< device-seconds a second of the running ones
  std::int64_t running_tasks = 0;
  std::optional<std::int64_t> max_running_tasks;

  bool operator==(const Share&) const = default;
};

/// By project. One that is not in it has had nothing, weighs 1 and has no limit.
struct Shares {
  std::map<std::string, Share> projects;
  std::int64_t interactive_tasks = 0;  ///< running, of all projects

  bool operator==(const Shares&) const = default;
};

/// What `seconds` of use count `age` later.
double Decayed(double seconds, Milliseconds age, const Fairness& fairness);

/// Device-seconds that a second of this worker costs.
double RateOf(const domain::Capabilities& worker, const Fairness& fairness);

/// What decides who is next, the smallest first: use by weight.
double ChargeOf(const Share& share, const Fairness& fairness);

/// What a project gets among those that want something or have had something of late.
struct Portion {
  double actual = 0;  ///< of what was used of late, 0 to 1
  double due = 0;     ///< by weight among those that want something now; 0 for one that does not

  bool operator==(const Portion&) const = default;
};

/// `wanting`: projects with queued or running tasks.
std::map<std::string, Portion> Portions(const Shares& shares, std::span<const std::string> wanting);

}  // namespace tyllm::server::sched
