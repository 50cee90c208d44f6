// SPDX-License-Identifier: Apache-2.0
#include "server/store/task_record.h"

#include <algorithm>

#include "server/store/attempts.h"
#include "server/store/lanes.h"
#include "server/store/rows_json.h"
#include "server/store/tasks.h"

namespace tyllm::server::store {

namespace {

// The inputs that are there: given ones, and outputs of tasks that have succeeded.
std::map<std::string, BlobId> KnownTrees(const std::vector<tasks::Row>& of_job,
                                         const std::vector<domain::TaskInput>& inputs) {
  std::map<std::string, BlobId> trees;
  for (const domain::TaskInput& input : inputs) {
    const auto source = std::find_if(of_job.begin(), of_job.end(), [&](const tasks::Row& one) {
      return !input.from.empty() && one.label == input.from;
    });
    const std::optional<BlobId> tree = source == of_job.end() ? input.tree : source->output;
    if (tree) {
      trees[input.name] = *tree;
    }
  }
  return trees;
}

}  // namespace

Result<TaskRecord> RecordOf(Database& db, TaskId task) {
  TYLLM_ASSIGN(const tasks::Row row, tasks::Get(db, task));
  TYLLM_ASSIGN(const std::vector<tasks::Row> of_job, tasks::OfJob(db, row.job));
  TaskRecord record;
  TYLLM_ASSIGN(record.view, tasks::ToView(row));
  record.job = row.job;
  TYLLM_ASSIGN(record.spec, FromColumn<domain::TaskSpec>(row.spec, "tasks.spec"));
  TYLLM_ASSIGN(record.inputs, tasks::InputsOf(row));
  record.trees = KnownTrees(of_job, record.inputs);
  record.key = row.key;
  record.use_cache = row.use_cache;
  record.kept = row.kept;
  record.made_by = row.made_by;
  if (row.state == domain::TaskState::kQueued) {
    TYLLM_ASSIGN(record.joined, tasks::FindRunning(db, row));
  }
  if (row.lane != 0) {  // one that had ended before there were lanes has none
    TYLLM_ASSIGN(const sched::LaneKey lane, lanes::Get(db, row.lane));
    record.requirements = lane.needs.requirements;
  }
  TYLLM_ASSIGN(record.toolchain_version, attempts::LastToolchain(db, task));
  return record;
}

Result<LogOwner> LogOwnerOf(Database& db, TaskId task, domain::Attempt attempt) {
  TYLLM_ASSIGN(const tasks::Row row, tasks::Get(db, task));
  LogOwner owner{.job = row.job, .attempt = attempt == 0 ? row.attempt : attempt};
  if (owner.attempt == 0) {
    owner.ended = IsFinal(row.state);
    return owner;
  }
  TYLLM_ASSIGN(owner.ended, attempts::HasEnded(db, {task, owner.attempt}));
  return owner;
}

}  // namespace tyllm::server::store
