// SPDX-License-Identifier: Apache-2.0
#include "server/store/job_progress.h"

#include <algorithm>

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

std::vector<sched::Node> GraphOf(const std::vector<tasks::Row>& rows, const AllInputs& inputs) {
  std::vector<sched::Node> nodes;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    sched::Node& node = nodes.emplace_back();
    node.state = rows[i].state;
    for (const domain::TaskInput& input : inputs[i]) {
      if (const tasks::Row* const source = FindLabel(rows, input.from)) {
        node.needs.push_back(static_cast<std::size_t>(source - rows.data()));
      }
    }
  }
  return nodes;
}

Result<AllInputs> InputsOfWaiting(const std::vector<tasks::Row>& rows) {
  AllInputs inputs(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].state == TaskState::kWaiting) {
      TYLLM_ASSIGN(inputs[i], tasks::InputsOf(rows[i]));
    }
  }
  return inputs;
}

Status MakeReady(const Ground& ground, const std::vector<tasks::Row>& rows, tasks::Row& row,
                 const std::vector<domain::TaskInput>& given, std::int64_t now) {
  TYLLM_ASSIGN(const auto inputs, ResolveInputs(rows, row.id, given));
  TYLLM_ASSIGN(const auto spec, FromColumn<domain::TaskSpec>(row.spec, "tasks.spec"));
  const Sha256 key = domain::ActionKey(spec, inputs, ground.toolchain_version);
  return tasks::SetReady(ground, row, key, inputs, now);
}

Status TakeSteps(const Ground& ground, std::vector<tasks::Row>& rows,
                 std::vector<events::Draft>& drafts, std::int64_t now) {
  TYLLM_ASSIGN(const AllInputs inputs, InputsOfWaiting(rows));
  for (const sched::Step& step : StepsFor(rows, inputs)) {
    tasks::Row& row = rows[step.node];
    if (step.event == domain::TaskEvent::kInputsReady) {
      TYLLM_TRY(MakeReady(ground, rows, row, inputs[step.node], now));
    } else {
      TYLLM_TRY(tasks::SetCancelled(ground, row, TaskState::kCancelled, now));
      row.state = TaskState::kCancelled;
    }
    drafts.push_back(Tell(row, step.event));
  }
  return OkStatus();
}

}  // namespace

std::vector<sched::Step> StepsFor(const std::vector<tasks::Row>& rows, const AllInputs& inputs) {
  return sched::Settle(GraphOf(rows, inputs));
}

bool HasBegun(const tasks::Row& row) {
  return !row.kept &&
         (row.attempt > 0 || (row.state != TaskState::kWaiting && row.state != TaskState::kQueued));
}

domain::JobState StateOf(const std::vector<tasks::Row>& rows, bool cancel_asked) {
  std::vector<TaskState> states;
  for (const tasks::Row& row : rows) {
    states.push_back(row.state);
  }
  return domain::JobStateOf(states, cancel_asked);
}

events::Draft Tell(const tasks::Row& row, domain::TaskEvent step) {
  const char* const what = step == domain::TaskEvent::kInputsReady
                               ? " is queued"
                               : " is cancelled: a task that it needs did not succeed";
  return {
      .text = row.label + what, .task = row.id, .task_state = row.state, .attempt = row.attempt};
}

events::Draft TellEnd(domain::JobState state) {
  return {.text = "job " + std::string(domain::kJobStateNames.Name(state)), .task = std::nullopt};
}

Status ProgressJob(const Ground& ground, JobId job, std::vector<events::Draft> drafts,
                   std::int64_t now) {
  TYLLM_ASSIGN(std::vector<tasks::Row> rows, tasks::OfJob(ground.db, job));
  return ProgressJob(ground, rows, std::move(drafts), now);
}

Status ProgressJob(const Ground& ground, std::vector<tasks::Row>& rows,
                   std::vector<events::Draft> drafts, std::int64_t now) {
  const JobId job = rows.front().job;
  TYLLM_TRY(TakeSteps(ground, rows, drafts, now));
  const bool ends =
      std::ranges::all_of(rows, [](const tasks::Row& row) { return IsFinal(row.state); });
  TYLLM_ASSIGN(const jobs::Standing before, jobs::StandingOf(ground.db, job, ends));
  const domain::JobState state = StateOf(rows, before.cancel_asked);
  if (ends) {
    drafts.push_back(TellEnd(state));
    ground.ended.push_back({before.kind, state, {}});
    if (state == domain::JobState::kFailed) {
      ground.ended.back().blame = before.blame;
    }
  }
  if (before.has_start_limit && (ends || std::ranges::any_of(rows, HasBegun))) {
    TYLLM_TRY(jobs::LiftStartLimit(ground.db, job));
  }
  // Only the last of them shows the new state: whoever sees a final state has seen all.
  std::int64_t number = before.last_event;
  for (const events::Draft& draft : drafts) {
    const bool is_last = &draft == &drafts.back();
    TYLLM_TRY(events::Insert(ground.db, job, ++number, draft, is_last ? state : before.state, now));
  }
  return jobs::Advance(ground.db, job, state, number, now);
}

Result<std::map<std::string, BlobId>> ResolveInputs(const std::vector<tasks::Row>& job_tasks,
                                                    TaskId task,
                                                    const std::vector<domain::TaskInput>& inputs) {
  std::map<std::string, BlobId> trees;
  for (const domain::TaskInput& input : inputs) {
    const tasks::Row* const source = FindLabel(job_tasks, input.from);
    const std::optional<BlobId> tree = source == nullptr ? input.tree : source->output;
    if (!tree) {
      return Internal(task.ToString() + ": input '" + input.name + "' is not there");
    }
    trees[input.name] = *tree;
  }
  return trees;
}

}  // namespace tyllm::server::store
