// SPDX-License-Identifier: Apache-2.0
#include "server/store/job_compiler.h"

#include <vector>

#include "common/domain/tools.h"
#include "server/store/job_progress.h"
#include "server/store/jobs.h"
#include "server/store/lanes.h"
#include "server/store/rows_json.h"
#include "server/store/spec_text.h"
#include "server/store/tasks.h"

namespace tyllm::server::store {

namespace {

using domain::TaskState;

bool HasBegun(TaskState state) {
  return state != TaskState::kWaiting && state != TaskState::kQueued;
}

/// A task that has a compiler, with what it is asked to do.
struct Compilation {
  std::size_t row = 0;
  domain::TaskSpec spec;
};

Result<std::vector<Compilation>> CompilationsOf(const std::vector<tasks::Row>& rows) {
  std::vector<Compilation> found;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    TYLLM_ASSIGN(auto spec, FromColumn<domain::TaskSpec>(rows[i].spec, "tasks.spec"));
    if (domain::HasCompiler(spec)) {
      found.push_back({i, std::move(spec)});
    }
  }
  return found;
}

Result<std::int64_t> LaneFor(const Ground& ground, const tasks::Row& row,
                             const domain::TaskSpec& spec, const domain::JobSpec& job) {
  TYLLM_ASSIGN(sched::LaneKey key, lanes::Get(ground.db, row.lane));
  key.needs = sched::NeedsOf({.label = row.label, .spec = spec, .inputs = {}}, job.requirements);
  return lanes::FindOrMake(ground.db, key);
}

Status Change(const Ground& ground, std::vector<tasks::Row>& rows, const Compilation& one,
              const domain::JobSpec& job) {
  tasks::Row& row = rows[one.row];
  std::optional<Sha256> key;
  if (row.state == TaskState::kQueued) {
    TYLLM_ASSIGN(const auto given, tasks::InputsOf(row));
    TYLLM_ASSIGN(const auto inputs, ResolveInputs(rows, row.id, given));
    key = domain::ActionKey(one.spec, inputs, ground.toolchain_version);
  }
  TYLLM_ASSIGN(const std::int64_t lane, LaneFor(ground, row, one.spec, job));
  return tasks::SetSpec(ground, row, SpecText(one.spec), lane, key);
}

}  // namespace

Result<bool> SetCompiler(const Ground& ground, JobId job, const std::string& compiler,
                         std::int64_t now) {
  TYLLM_ASSIGN(const jobs::Row row, jobs::Get(ground.db, job));
  TYLLM_ASSIGN(const auto spec, FromColumn<domain::JobSpec>(row.spec, "jobs.spec"));
  TYLLM_ASSIGN(std::vector<tasks::Row> rows, tasks::OfJob(ground.db, job));
  TYLLM_ASSIGN(std::vector<Compilation> all, CompilationsOf(rows));
  bool changes = false;
  for (const Compilation& one : all) {
    const bool other = one.spec.compiler != compiler;
    if (other && HasBegun(rows[one.row].state)) {
      return false;
    }
    changes = changes || other;
  }
  if (!changes) {
    return false;
  }
  for (Compilation& one : all) {
    if (!HasBegun(rows[one.row].state)) {
      one.spec.compiler = compiler;
      TYLLM_TRY(Change(ground, rows, one, spec));
    }
  }
  TYLLM_TRY(ProgressJob(
      ground, rows, {{.text = "programs are made with " + compiler, .task = std::nullopt}}, now));
  return true;
}

Status FailQueued(const Ground& ground, TaskId task, const domain::Failure& failure,
                  std::int64_t now) {
  TYLLM_ASSIGN(const tasks::Row row, tasks::Get(ground.db, task));
  if (row.state != TaskState::kQueued) {
    return Aborted(task.ToString() + " is not queued");
  }
  TYLLM_TRY(tasks::SetFailed(ground, row, failure, now));
  TYLLM_TRY(jobs::SetFailure(ground.db, row.job, failure));
  return ProgressJob(ground, row.job,
                     {{.text = row.label + " failed: " + failure.reason + ": " + failure.message,
                       .task = row.id,
                       .task_state = TaskState::kFailed,
                       .attempt = row.attempt}},
                     now);
}

}  // namespace tyllm::server::store
