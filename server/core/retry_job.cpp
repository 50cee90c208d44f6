// SPDX-License-Identifier: Apache-2.0
#include "server/core/retry_job.h"

#include <algorithm>

#include "common/domain/tools.h"
#include "server/core/action_cache.h"
#include "server/core/change_log.h"
#include "server/core/compilers.h"
#include "server/core/get_job.h"
#include "server/core/job_inputs.h"
#include "server/core/once.h"
#include "server/core/project_admission.h"

namespace tyllm::server::core {

namespace {

using domain::JobId;
using domain::JobState;

/// What the new job takes over.
struct Legacy {
  domain::JobView job;
  std::vector<store::TaskRecord> done;  ///< succeeded, with outputs
};

Result<Legacy> Read(store::Queue& queue, JobId id) {
  Legacy legacy;
  TYLLM_ASSIGN(legacy.job, queue.GetJob(id));
  if (legacy.job.state != JobState::kFailed && legacy.job.state != JobState::kCancelled) {
    return FailedPrecondition(id.ToString() + " is " +
                              std::string(domain::kJobStateNames.Name(legacy.job.state)) +
                              ", expected failed or cancelled; there is nothing left to do again");
  }
  for (const domain::TaskView& task : legacy.job.tasks) {
    if (task.state == domain::TaskState::kSucceeded) {
      TYLLM_ASSIGN(store::TaskRecord record, queue.GetTask(task.id));
      legacy.done.push_back(std::move(record));
    }
  }
  return legacy;
}

// What its programs were made with.
std::string CompilerOf(const Legacy& legacy) {
  const auto made = std::ranges::find_if(legacy.done, [](const store::TaskRecord& record) {
    return domain::RunsCompiler(record.spec);
  });
  return made == legacy.done.end() ? "" : made->spec.compiler;
}

// Nobody needs a compiler any more.
bool HasAllPrograms(const Legacy& legacy, const domain::JobPlan& plan) {
  const auto done = std::ranges::count_if(
      legacy.done, [](const auto& record) { return domain::RunsCompiler(record.spec); });
  return done > 0 && done == std::ranges::count_if(plan.tasks, [](const auto& task) {
                       return domain::RunsCompiler(task.spec);
                     });
}

// Programs of another compiler do not go together with those that are still to be made.
bool IsAsPlanned(const store::TaskRecord& record, const domain::JobPlan& plan) {
  const auto task = std::ranges::find(plan.tasks, record.view.label, &domain::PlannedTask::label);
  return task != plan.tasks.end() && task->spec.compiler == record.spec.compiler;
}

// As it was asked for then, with what was changed since.
domain::JobSpec SpecOf(const domain::JobView& job, bool no_cache) {
  domain::JobSpec spec = job.spec;
  spec.labels = job.labels;
  spec.priority = job.priority;
  spec.no_cache = spec.no_cache || no_cache;
  return spec;
}

}  // namespace

boost::asio::awaitable<Result<domain::JobView>> RetryJob(Farm& farm, domain::RetryRequest request) {
  const domain::JobChange& change = request.change;
  TYLLM_CO_TRY(CheckRequestId(change.request_id, true));
  const Asked asked = AskedOf(change.request_id, "RetryJob",
                              change.job.ToString() + (request.no_cache ? " no_cache" : ""));
  std::optional<JobId> made;
  const auto find_same = [&](store::Queue& queue) -> Status {
    TYLLM_ASSIGN(const bool answered, WasAnswered(queue, asked));
    if (answered) {
      TYLLM_ASSIGN(const auto found, queue.FindRequest(change.request_id));
      made = found->job;
    }
    return OkStatus();
  };
  const Status looked = co_await farm.parts.store.Run(find_same);
  TYLLM_CO_TRY(looked);
  if (made) {
    co_return co_await GetJob(farm, *made);
  }
  TYLLM_CO_ASSIGN(const Legacy legacy, co_await farm.parts.store.Look([&](store::Queue& queue) {
    return Read(queue, change.job);
  }));
  store::NewJob next{
      .request_id = change.request_id,
      .spec = SpecOf(legacy.job, request.no_cache),
      .plan = {},
      .method = asked.method,
      .fingerprint = asked.fingerprint,
      .retry_of = change.job,
      .submitted_by = legacy.job.submitted_by.empty() ? change.by : legacy.job.submitted_by,
      .by = change.by};
  next.plan = domain::PlanJob(next.spec);
  TYLLM_CO_ASSIGN(JobInputs inputs, co_await CheckInputs(farm, next.spec));
  TYLLM_CO_TRY(StatusOf(inputs.problems));
  NeedTools(inputs, next.plan);
  if (HasAllPrograms(legacy, next.plan)) {
    domain::SetCompiler(next.plan, CompilerOf(legacy));
  } else {
    TYLLM_CO_TRY(co_await ChooseCompiler(farm, next.spec, next.plan, CompilerOf(legacy)));
  }
  for (const store::TaskRecord& record : legacy.done) {
    if (!IsAsPlanned(record, next.plan)) {
      continue;
    }
    const Result<TreeCheck> check = co_await CheckTree(farm, *record.view.output);
    // One that cannot be read is made again.
    if (check.ok() && check->missing.empty() && record.key) {
      next.kept[record.view.label] = {*record.view.output, *record.key,
                                      record.made_by.value_or(record.view.id)};
      inputs.sizes[*record.view.output] = BytesOf(check->tree);
    }
  }
  const Status intake = farm.intake.Check();
  const std::int64_t now = farm.parts.clock.UnixMillis();
  bool is_new = false;
  const Status queued = co_await farm.parts.store.Run([&](store::Queue& queue) -> Status {
    made.reset();
    is_new = false;
    TYLLM_TRY(find_same(queue));
    if (made) {
      return OkStatus();
    }
    TYLLM_TRY(CheckEtag(queue, change));
    TYLLM_TRY(intake);
    TYLLM_TRY(AdmitToProject(queue, next.spec, inputs.sizes));
    TYLLM_ASSIGN(made, queue.Enqueue(next, now));
    is_new = true;
    return NoteTrees(queue, *made, inputs.sizes);
  });
  TYLLM_CO_TRY(queued);
  if (is_new) {
    LogChange(farm, "job retried as " + made->ToString(), {"job", change.job.ToString()},
              change.by);
  }
  farm.parts.metrics.Count(telemetry::Metric::kJobsSubmitted);
  static_cast<void>(co_await UseResultsOf(farm, *made));
  farm.signals.Notify(Topic::Work());
  co_return co_await GetJob(farm, *made);
}

}  // namespace tyllm::server::core
