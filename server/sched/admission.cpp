// SPDX-License-Identifier: Apache-2.0
#include "server/sched/admission.h"

namespace tyllm::server::sched {

Status Admit(const domain::Project& project, const Admission& admission) {
  // The first word makes it the reason QUOTA_EXCEEDED (docs/manual/api-errors.md).
  const std::string who = "quota: project '" + project.name + "' ";
  if (project.max_queued_jobs && admission.queued_jobs >= *project.max_queued_jobs) {
    return ResourceExhausted(who + "has " + std::to_string(admission.queued_jobs) +
                             " jobs that have not ended, its quota is " +
                             std::to_string(*project.max_queued_jobs) +
                             "; wait for one, or cancel one")
        .With("limit", *project.max_queued_jobs)
        .With("used", admission.queued_jobs);
  }
  const std::int64_t bytes = admission.stored_bytes + admission.new_bytes;
  if (project.max_stored_bytes && bytes > *project.max_stored_bytes) {
    return ResourceExhausted(who + "would store " + std::to_string(bytes) +
                             " bytes with this job, its quota is " +
                             std::to_string(*project.max_stored_bytes) +
                             "; delete jobs that are no longer needed")
        .With("limit", *project.max_stored_bytes)
        .With("used", bytes);
  }
  return OkStatus();
}

}  // namespace tyllm::server::sched
