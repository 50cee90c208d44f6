// SPDX-License-Identifier: Apache-2.0
#include "server/core/submit_job.h"

#include <utility>

#include "common/domain/job_changes.h"
#include "common/format/json_text.h"
#include "server/core/action_cache.h"
#include "server/core/compilers.h"
#include "server/core/explain.h"
#include "server/core/get_job.h"
#include "server/core/job_inputs.h"
#include "server/core/once.h"
#include "server/core/validate_job.h"
#include "server/sched/explain.h"

namespace tyllm::server::core {

namespace {

using domain::JobSpec;
using store::JobId;

constexpr const char* kMethod = "SubmitJob";

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
  Status intake;                                  ///< not OK: no new job is taken
  std::int64_t now = 0;
};

/// What one transaction made of a request.
struct Enqueued {
  JobId job;
  bool made = false;
  std::unique_ptr<domain::JobView> view;  ///< of a job that was made, to be shown
  bool has_results = false;               ///< some task of it
};

Status EnqueueJob(store::Queue& queue, const store::NewJob& next, const Facts& facts, Show show,
                  Enqueued& answer) {
  if (show == Show::kId) {
    TYLLM_ASSIGN(answer.job, queue.Enqueue(next, facts.now));
    return OkStatus();
  }
  TYLLM_ASSIGN(domain::JobView view, queue.EnqueueAndShow(next, facts.now));
  for (domain::TaskView& task : view.tasks) {
    if (const auto pending = facts.nobody.find(task.label); pending != facts.nobody.end()) {
      task.pending = pending->second;  // says why it will wait
    }
  }
  answer.job = view.id;
  answer.view = std::make_unique<domain::JobView>(std::move(view));
  return OkStatus();
}

Result<Enqueued> FindOrEnqueue(store::Queue& queue, const domain::SubmitRequest& request,
                               const Facts& facts, Show show) {
  TYLLM_ASSIGN(const std::optional<JobId> job, FindSame(queue, request, facts.asked));
  Enqueued answer;
  if (job) {
    answer.job = *job;
    return answer;
  }
  TYLLM_TRY(facts.intake);
  TYLLM_TRY(AdmitToProject(queue, request.spec, facts.inputs));
  store::NewJob next{.request_id = request.request_id,
                     .spec = request.spec,
                     .plan = facts.plan,
                     .method = kMethod,
                     .fingerprint = facts.asked.fingerprint,
                     .submitted_by = request.by,
                     .by = request.by};
  for (const auto& [label, pending] : facts.nobody) {
    next.notes[label] = pending.message;
  }
  answer.made = true;
  TYLLM_TRY(EnqueueJob(queue, next, facts, show, answer));
  TYLLM_TRY(NoteTrees(queue, answer.job, facts.inputs));
  TYLLM_ASSIGN(const std::vector<store::CacheHit> hits,
               queue.CacheHits({.limit = 1, .job = answer.job}));
  answer.has_results = !hits.empty();
  return answer;
}

// What `request` may not wait for: empty when it may, when somebody takes it, and of a request that
// has made its job already.
boost::asio::awaitable<Result<std::vector<domain::Problem>>> WhyNobodyTakesIt(
    Farm& farm, const domain::SubmitRequest& request, const Asked& asked) {
  std::vector<domain::Problem> problems;
  if (!request.refuse_if_no_worker) {
    co_return problems;
  }
  TYLLM_CO_ASSIGN(const std::optional<JobId> same,
                  co_await farm.parts.store.Run(
                      [&](store::Queue& queue) { return FindSame(queue, request, asked); }));
  if (same) {
    co_return problems;
  }
  TYLLM_CO_ASSIGN(domain::Validation validation, co_await ValidateJob(farm, request));
  for (domain::Problem& one : validation.problems) {
    if (one.reason != domain::kNoWorkerReason) {
      continue;
    }
    if (one.message.ends_with(sched::kWaitsForWorker)) {
      one.message.resize(one.message.size() - sched::kWaitsForWorker.size());
    }
    one.message +=
        "; start a worker that can take it, ask for less of one, or let the job wait (without "
        "refuse_if_no_worker)";
    problems.push_back(std::move(one));
  }
  co_return problems;
}

// The transaction that makes the job says so when a quota forbids it.
bool IsQuota(const Status& status) {
  return status.code() == StatusCode::kResourceExhausted && status.message().starts_with("quota: ");
}

// The job is accepted, whatever happens now: UseCachedResultsForever would do the same later.
boost::asio::awaitable<Result<Submitted>> Queued(Farm& farm, Enqueued queued, Show show) {
  if (queued.made) {
    farm.parts.metrics.Count(telemetry::Metric::kJobsSubmitted);
    if (queued.has_results && show == Show::kId) {
      farm.signals.Notify(Topic::Results());
    } else if (queued.has_results) {
      static_cast<void>(co_await UseResultsOf(farm, queued.job));
    }
    farm.signals.Notify(Topic::Work());
  }
  Submitted answer;
  answer.id = queued.job;
  answer.already_made = !queued.made;
  if (show == Show::kId) {
    co_return answer;
  }
  if (queued.view && !queued.has_results) {
    queued.view->etag = domain::EtagOf(*queued.view);
    answer.job = std::move(*queued.view);
  } else {
    TYLLM_CO_ASSIGN(answer.job, co_await GetJob(farm, queued.job));
  }
  co_return answer;
}

Submitted Refused(std::vector<domain::Problem> problems) {
  return {.id = {}, .job = {}, .validation = {}, .refused = std::move(problems)};
}

boost::asio::awaitable<Result<Submitted>> Validated(Farm& farm, domain::SubmitRequest request) {
  Submitted answer;
  TYLLM_CO_ASSIGN(answer.validation, co_await ValidateJob(farm, std::move(request)));
  co_return answer;
}

}  // namespace

boost::asio::awaitable<Result<Submitted>> Submit(Farm& farm, domain::SubmitRequest request,
                                                 Show show) {
  if (request.validate_only) {
    co_return co_await Validated(farm, std::move(request));
  }
  TYLLM_CO_TRY(CheckRequestId(request.request_id, true));
  const std::string text = format::CompactText(request.spec);
  std::vector<domain::Problem> problems = ProblemsOf(request.spec, text, farm.parts.limits);
  if (!problems.empty()) {
    co_return Refused(std::move(problems));
  }
  Facts facts;
  facts.asked = AskedOf(request.request_id, kMethod, text);
  TYLLM_CO_ASSIGN(JobInputs inputs, co_await CheckInputs(farm, request.spec));
  if (!inputs.problems.empty()) {
    // A repeated request finds its job even if its inputs are gone by now.
    TYLLM_CO_ASSIGN(const std::optional<JobId> same,
                    co_await farm.parts.store.Run([&](store::Queue& queue) {
                      return FindSame(queue, request, facts.asked);
                    }));
    if (!same) {
      co_return Refused(std::move(inputs.problems));
    }
    Enqueued found;
    found.job = *same;
    co_return co_await Queued(farm, std::move(found), show);
  }
  TYLLM_CO_ASSIGN(problems, co_await WhyNobodyTakesIt(farm, request, facts.asked));
  if (!problems.empty()) {
    co_return Refused(std::move(problems));
  }
  facts.inputs = std::move(inputs.sizes);
  facts.plan = domain::PlanJob(request.spec);
  NeedTools(inputs, facts.plan);
  TYLLM_CO_TRY(co_await ChooseCompiler(farm, request.spec, facts.plan));
  facts.intake = farm.intake.Check();
  facts.now = farm.parts.clock.UnixMillis();
  const std::vector<sched::Online> nobody = NobodyFor(farm, request.spec, facts.plan);
  if (!nobody.empty()) {
    facts.nobody = WhatNobodyCan(request.spec, facts.plan, nobody, facts.now);
  }
  Result<Enqueued> job = co_await farm.parts.store.Run(
      [&](store::Queue& queue) { return FindOrEnqueue(queue, request, facts, show); });
  if (IsQuota(job.status())) {
    std::vector<domain::Problem> over(1);
    over[0].reason = domain::kQuotaExceededReason;
    over[0].field = "spec.project";
    over[0].message = job.status().message();
    over[0].facts = job.status().facts();
    co_return Refused(std::move(over));
  }
  TYLLM_CO_TRY(job.status());
  co_return co_await Queued(farm, *std::move(job), show);
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
