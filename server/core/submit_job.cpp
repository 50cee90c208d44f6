// SPDX-License-Identifier: Apache-2.0
#include "server/core/submit_job.h"

#include "common/domain/job_changes.h"
#include "common/format/json_text.h"
#include "server/core/action_cache.h"
#include "server/core/explain.h"
#include "server/core/get_job.h"
#include "server/core/job_inputs.h"
#include "server/core/once.h"
#include "server/core/validate_job.h"

namespace tyllm::server::core {

namespace {

using domain::JobSpec;
using store::JobId;

constexpr const char* kMethod = "SubmitJob";

Asked AskedOf(const domain::SubmitRequest& request) {
  return core::AskedOf(request.request_id, kMethod, format::CompactText(request.spec));
}

// The job that this request made before, if it did.
Result<std::optional<JobId>> FindSame(store::Queue& queue, const domain::SubmitRequest& request,
                                      const Asked& asked) {
  TYLLM_ASSIGN(const bool answered, WasAnswered(queue, asked));
  if (!answered) {
    return std::optional<JobId>();
  }
  TYLLM_ASSIGN(const auto found, queue.FindRequest(request.request_id));
  if (!found->fingerprint) {  // by a version that kept none
    TYLLM_ASSIGN(const domain::JobView view, queue.GetJob(*found->job));
    if (view.spec != request.spec) {
      return AlreadyExists("request_id '" + request.request_id + "' was used for " +
                           found->job->ToString() + ", another request; choose a new one");
    }
  }
  return found->job;
}

/// What is found out before the transaction.
struct Facts {
  Asked asked;
  TreeSizes inputs;
  domain::JobPlan plan;
  std::map<std::string, domain::Pending> nobody;  ///< as WhatNobodyCan gives it
  std::int64_t now = 0;
};

/// What one transaction made of a request.
struct Enqueued {
  JobId job;
  bool made = false;
  std::optional<domain::JobView> view;  ///< of a job that was made
  bool has_results = false;             ///< some task that waits, perhaps one of it
};

Result<Enqueued> FindOrEnqueue(store::Queue& queue, const domain::SubmitRequest& request,
                               const Facts& facts) {
  TYLLM_ASSIGN(const std::optional<JobId> job, FindSame(queue, request, facts.asked));
  if (job) {
    return Enqueued{.job = *job};
  }
  TYLLM_TRY(AdmitToProject(queue, request.spec, facts.inputs));
  store::NewJob next{.request_id = request.request_id,
                     .spec = request.spec,
                     .plan = facts.plan,
                     .method = kMethod,
                     .fingerprint = facts.asked.fingerprint};
  for (const auto& [label, pending] : facts.nobody) {
    next.notes[label] = pending.message;
  }
  Enqueued answer{.made = true};
  TYLLM_ASSIGN(answer.view, queue.EnqueueAndShow(next, facts.now));
  answer.job = answer.view->id;
  TYLLM_TRY(NoteTrees(queue, answer.job, facts.inputs));
  for (domain::TaskView& task : answer.view->tasks) {
    if (const auto pending = facts.nobody.find(task.label); pending != facts.nobody.end()) {
      task.pending = pending->second;  // says why it will wait
    }
  }
  TYLLM_ASSIGN(const std::vector<store::CacheHit> hits, queue.CacheHits(1));
  answer.has_results = !hits.empty();
  return answer;
}

// The transaction that makes the job says so when a quota forbids it.
bool IsQuota(const Status& status) {
  return status.code() == StatusCode::kResourceExhausted && status.message().starts_with("quota: ");
}

// The job is accepted, whatever happens now: a sweep would do the same later.
boost::asio::awaitable<Result<domain::JobView>> Queued(Farm& farm, Enqueued queued) {
  if (!queued.made) {
    co_return co_await GetJob(farm, queued.job);
  }
  farm.parts.metrics.Count(telemetry::Metric::kJobsSubmitted);
  if (queued.has_results) {
    static_cast<void>(co_await UseCachedResults(farm));
  }
  farm.signals.Notify(Topic::Work());
  if (queued.has_results) {
    co_return co_await GetJob(farm, queued.job);
  }
  queued.view->etag = domain::EtagOf(*queued.view);
  co_return *std::move(queued.view);
}

Submitted Refused(std::vector<domain::Problem> problems) {
  return {.job = {}, .validation = {}, .refused = std::move(problems)};
}

boost::asio::awaitable<Result<Submitted>> Validated(Farm& farm, domain::SubmitRequest request) {
  Submitted answer;
  TYLLM_CO_ASSIGN(answer.validation, co_await ValidateJob(farm, std::move(request)));
  co_return answer;
}

}  // namespace

boost::asio::awaitable<Result<Submitted>> Submit(Farm& farm, domain::SubmitRequest request) {
  if (request.validate_only) {
    co_return co_await Validated(farm, std::move(request));
  }
  TYLLM_CO_TRY(CheckRequestId(request.request_id, true));
  std::vector<domain::Problem> problems = ProblemsOf(request.spec, farm.parts.limits);
  if (!problems.empty()) {
    co_return Refused(std::move(problems));
  }
  Submitted answer;
  TYLLM_CO_ASSIGN(JobInputs inputs, co_await CheckInputs(farm, request.spec));
  if (!inputs.problems.empty()) {
    // A repeated request finds its job even if its inputs are gone by now.
    TYLLM_CO_ASSIGN(const std::optional<JobId> same,
                    co_await farm.parts.store.Run([&](store::Queue& queue) {
                      return FindSame(queue, request, AskedOf(request));
                    }));
    if (!same) {
      co_return Refused(std::move(inputs.problems));
    }
    TYLLM_CO_ASSIGN(answer.job, co_await GetJob(farm, *same));
    answer.already_made = true;
    co_return answer;
  }
  Facts facts;
  facts.asked = AskedOf(request);
  facts.inputs = std::move(inputs.sizes);
  facts.plan = domain::PlanJob(request.spec);
  facts.now = farm.parts.clock.UnixMillis();
  const std::vector<sched::Online> nobody = NobodyFor(farm, request.spec, facts.plan);
  if (!nobody.empty()) {
    facts.nobody = WhatNobodyCan(request.spec, facts.plan, nobody, facts.now);
  }
  Result<Enqueued> job = co_await farm.parts.store.Run(
      [&](store::Queue& queue) { return FindOrEnqueue(queue, request, facts); });
  if (IsQuota(job.status())) {
    std::vector<domain::Problem> over(1);
    over[0].reason = domain::kQuotaExceededReason;
    over[0].field = "spec.project";
    over[0].message = job.status().message();
    co_return Refused(std::move(over));
  }
  TYLLM_CO_TRY(job.status());
  answer.already_made = !job->made;
  TYLLM_CO_ASSIGN(answer.job, co_await Queued(farm, *std::move(job)));
  co_return answer;
}

boost::asio::awaitable<Result<domain::JobView>> SubmitJob(Farm& farm,
                                                          domain::SubmitRequest request) {
  TYLLM_CO_ASSIGN(Submitted answer, co_await Submit(farm, std::move(request)));
  TYLLM_CO_TRY(StatusOf(answer.refused));
  if (!answer.job) {
    co_return InvalidArgument("validate_only queues no job");
  }
  co_return *std::move(answer.job);
}

}  // namespace tyllm::server::core
