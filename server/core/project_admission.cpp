// SPDX-License-Identifier: Apache-2.0
#include "server/core/project_admission.h"

#include "server/sched/admission.h"

namespace tyllm::server::core {

Status AdmitToProject(store::Queue& queue, const domain::JobSpec& spec, const TreeSizes& inputs) {
  TYLLM_ASSIGN(const store::ProjectRecord record, queue.GetProject(spec.project));
  sched::Admission admission;
  admission.queued_jobs = record.queued_jobs;
  admission.stored_bytes = record.stored_bytes;
  // What the project has already costs nothing more, but to find out costs more than it is worth.
  for (const auto& [tree, bytes] : inputs) {
    admission.new_bytes += bytes;
  }
  return sched::Admit(record.project, admission);
}

Status NoteTrees(store::Queue& queue, domain::JobId job, const TreeSizes& trees) {
  for (const auto& [tree, bytes] : trees) {
    TYLLM_TRY(queue.AddTree(job, tree, bytes));
  }
  return OkStatus();
}

}  // namespace tyllm::server::core
