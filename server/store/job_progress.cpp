// SPDX-License-Identifier: Apache-2.0
#include "server/store/job_progress.h"

#include <algorithm>

#include "server/sched/settle.h"
#include "server/store/jobs.h"
#include "server/store/rows_json.h"

namespace tyllm::server::store {

namespace {

using domain::TaskState;

const tasks::Row* FindLabel(const std::vector<tasks::Row>& rows, const std::string& label) {
  const auto it = std::find_if(rows.begin(), rows.end(),
                               [&](const tasks::Row& row) { return row.label == label; });
  return it == rows.end() ? nullptr : &*it;
}

std::vector<sched::Node> GraphOf(const std::vector<tasks::Row>& rows) {
  std::vector<sched::Node> nodes;
  for (const tasks::Row& row : rows) {
    sched::Node& node = nodes.emplace_back();
    node.state = row.state;
    for (const domain::TaskInput& input : row.inputs) {
      if (const tasks::Row* const source = FindLabel(rows, input.from)) {
        node.needs.push_back(static_cast<std::size_t>(source - rows.data()));
      }
    }
  }
  return nodes;
}

events::Draft Tell(const tasks::Row& row, const std::string& what) {
  return {
      .text = row.label + what, .task = row.id, .task_state = row.state, .attempt = row.attempt};
}

Status MakeReady(Database& db, const std::vector<tasks::Row>& rows, tasks::Row& row,
                 std::string_view toolchain_version, std::int64_t now) {
  TYLLM_ASSIGN(const auto inputs, ResolveInputs(rows, row));
  TYLLM_ASSIGN(const auto spec, FromColumn<domain::TaskSpec>(row.spec, "tasks.spec"));
  TYLLM_TRY(
      tasks::SetReady(db, row, domain::ActionKey(spec, inputs, toolchain_version), inputs, now));
  row.state = TaskState::kQueued;
  return OkStatus();
}

Status TakeSteps(Database& db, std::vector<tasks::Row>& rows, std::vector<events::Draft>& drafts,
                 std::string_view toolchain_version, std::int64_t now) {
  for (const sched::Step& step : sched::Settle(GraphOf(rows))) {
    tasks::Row& row = rows[step.node];
    if (step.event == domain::TaskEvent::kInputsReady) {
      TYLLM_TRY(MakeReady(db, rows, row, toolchain_version, now));
      drafts.push_back(Tell(row, " is queued"));
    } else {
      TYLLM_TRY(tasks::SetCancelled(db, row, TaskState::kCancelled, now));
      row.state = TaskState::kCancelled;
      drafts.push_back(Tell(row, " is cancelled: a task that it needs did not succeed"));
    }
  }
  return OkStatus();
}

domain::JobState StateOf(const std::vector<tasks::Row>& rows, bool cancel_asked) {
  std::vector<TaskState> states;
  for (const tasks::Row& row : rows) {
    states.push_back(row.state);
  }
  return domain::JobStateOf(states, cancel_asked);
}

}  // namespace

Status ProgressJob(Database& db, JobId job, std::vector<events::Draft> drafts,
                   std::string_view toolchain_version, std::int64_t now) {
  TYLLM_ASSIGN(std::vector<tasks::Row> rows, tasks::OfJob(db, job));
  TYLLM_TRY(TakeSteps(db, rows, drafts, toolchain_version, now));
  TYLLM_ASSIGN(const jobs::Row before, jobs::Get(db, job));
  const domain::JobState state = StateOf(rows, before.cancel_asked);
  if (IsFinal(state)) {
    drafts.push_back(
        {.text = "job " + std::string(domain::kJobStateNames.Name(state)), .task = std::nullopt});
  }
  // Only the last of them shows the new state: whoever sees a final state has seen all.
  std::int64_t number = before.last_event;
  for (const events::Draft& draft : drafts) {
    const bool is_last = &draft == &drafts.back();
    TYLLM_TRY(events::Insert(db, job, ++number, draft, is_last ? state : before.state, now));
  }
  return jobs::Advance(db, job, state, number, now);
}

Result<std::map<std::string, BlobId>> ResolveInputs(const std::vector<tasks::Row>& job_tasks,
                                                    const tasks::Row& task) {
  std::map<std::string, BlobId> inputs;
  for (const domain::TaskInput& input : task.inputs) {
    const tasks::Row* const source = FindLabel(job_tasks, input.from);
    const std::optional<BlobId> tree = source == nullptr ? input.tree : source->output;
    if (!tree) {
      return Internal(task.id.ToString() + ": input '" + input.name + "' is not there");
    }
    inputs[input.name] = *tree;
  }
  return inputs;
}

}  // namespace tyllm::server::store
