// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "common/base/status.h"
#include "common/domain/project.h"

namespace tyllm::server::sched {

/// What a project would have with one more job.
struct Admission {
  std::int64_t queued_jobs = 0;   ///< that have not ended, without the new one
  std::int64_t stored_bytes = 0;  ///< of its jobs' trees, without the new one's
  std::int64_t new_bytes = 0;     ///< of the new job's inputs
};

/// kResourceExhausted, reason QUOTA_EXCEEDED, when a quota of the project forbids the job: names
/// the quota, what is used and what to do.
Status Admit(const domain::Project& project, const Admission& admission);

}  // namespace tyllm::server::sched
