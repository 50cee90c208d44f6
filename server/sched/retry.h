// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "common/base/clock.h"
#include "common/domain/failure.h"
#include "common/domain/ids.h"
#include "server/sched/ending.h"
#include "server/sched/policy.h"

namespace tyllm::server::sched {

/// Attempts of a task that ended before the one in question.
struct Spent {
  int failures = 0;  ///< failed, stalled or late
  int losses = 0;    ///< lost with their worker

  bool operator==(const Spent&) const = default;
};

/// What becomes of a task whose attempt ended without result.
struct Verdict {
  bool again = false;     ///< queue it again, else it has failed
  Milliseconds delay{0};  ///< not before this much later
  domain::Failure failure;

  bool operator==(const Verdict&) const = default;
};

/// An attempt that ended, for the words of the failure.
struct EndedAttempt {
  domain::Attempt number = 0;
  std::string worker;
  std::string stage;  ///< that it reported last
  Ending ending = Ending::kFailed;
  std::optional<domain::Failure> reported;  ///< with kFailed
};

/// Endings differ in what they cost: a lost worker counts as a loss, failures worth another try,
/// stalls and deadlines as failures, a returned attempt not at all. Not for kSucceeded, kStopped.
Verdict Judge(const EndedAttempt& ended, const Spent& spent, const Policy& policy);

}  // namespace tyllm::server::sched
