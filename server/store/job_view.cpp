// SPDX-License-Identifier: Apache-2.0
#include "server/store/job_view.h"

#include "server/store/checkpoints.h"
#include "server/store/jobs.h"
#include "server/store/rows_json.h"

namespace tyllm::server::store {

Status ShowTasks(Database& db, const std::vector<tasks::Row>& rows,
                 const std::map<std::string, std::string>& outputs, domain::JobView& view) {
  for (const tasks::Row& task : rows) {
    TYLLM_ASSIGN(domain::TaskView shown, tasks::ToView(task));
    if (!IsFinal(task.state)) {
      TYLLM_ASSIGN(shown.checkpoint, checkpoints::Find(db, task));
    }
    view.tasks.push_back(std::move(shown));
    for (const auto& [output, label] : outputs) {
      if (label == task.label && task.output) {
        view.outputs[output] = *task.output;
      }
    }
  }
  return OkStatus();
}

Result<domain::JobView> ViewOf(Database& db, domain::JobId job) {
  TYLLM_ASSIGN(const jobs::Row row, jobs::Get(db, job));
  TYLLM_ASSIGN(domain::JobView view, jobs::ToView(row));
  using Labels = std::map<std::string, std::string>;
  TYLLM_ASSIGN(const auto outputs, FromColumn<Labels>(row.outputs, "jobs.outputs"));
  TYLLM_ASSIGN(const std::vector<tasks::Row> rows, tasks::OfJob(db, job));
  TYLLM_TRY(ShowTasks(db, rows, outputs, view));
  return view;
}

}  // namespace tyllm::server::store
