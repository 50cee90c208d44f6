// SPDX-License-Identifier: Apache-2.0
#include "server/sched/past_attempts.h"

#include <algorithm>

#include "server/sched/failure_class.h"

namespace tyllm::server::sched {

std::vector<std::string> SpoiltBy(std::span<const domain::AttemptRecord> attempts) {
  std::vector<std::string> workers;
  for (const domain::AttemptRecord& attempt : attempts) {
    if (attempt.ending == Ending::kFailed && attempt.failure &&
        ClassOf(Ending::kFailed, *attempt.failure) == FailureClass::kMachine) {
      workers.push_back(attempt.worker);
    }
  }
  return workers;
}

std::vector<std::string> LostBy(std::span<const domain::AttemptRecord> attempts, int losses) {
  std::vector<std::string> workers;
  for (const domain::AttemptRecord& attempt : attempts) {
    if (attempt.ending == Ending::kLeaseLost) {
      workers.push_back(attempt.worker);
    }
  }
  const auto count = std::min(workers.size(), static_cast<std::size_t>(std::max(0, losses)));
  return {workers.end() - static_cast<std::ptrdiff_t>(count), workers.end()};
}

}  // namespace tyllm::server::sched
