// SPDX-License-Identifier: Apache-2.0
#include "server/core/validate_job.h"

#include <algorithm>
#include <map>

#include "common/format/json_text.h"
#include "server/core/compilers.h"
#include "server/core/forecast.h"
#include "server/core/job_inputs.h"
#include "server/core/queue_reading.h"
#include "server/sched/explain.h"
#include "server/store/lanes.h"

namespace tyllm::server::core {

namespace {

using domain::PlannedTask;
using domain::Problem;
using domain::TaskForecast;

/// What the queue says of one task of the plan.
struct Seen {
  std::optional<BlobId> result;
  std::optional<domain::TaskId> running;
};

/// Goes through a plan in order: an output that is there already is an input of what comes after.
class Forecaster {
 public:
  Forecaster(Farm& farm, const domain::JobSpec& spec, const domain::JobPlan& plan)
      : farm_(farm), spec_(spec), plan_(plan), online_(OnlineNow(farm)) {}

  boost::asio::awaitable<Result<domain::Validation>> Run() {
    domain::Validation validation;
    for (const PlannedTask& task : plan_.tasks) {
      TYLLM_CO_ASSIGN(TaskForecast forecast, co_await Look(task));
      if (!forecast.cached && forecast.eligible_workers == 0) {
        validation.problems.push_back(NoWorker(forecast, task));
      }
      validation.tasks.push_back(std::move(forecast));
    }
    TYLLM_CO_ASSIGN(validation.expected_wait_ms, co_await ExpectedWait(validation.tasks));
    validation.expected_run_ms = Together(validation, &TaskForecast::expected_run_ms);
    validation.expected_run_low_ms = Together(validation, &TaskForecast::expected_run_low_ms);
    validation.expected_run_high_ms = Together(validation, &TaskForecast::expected_run_high_ms);
    co_return validation;
  }

 private:
  // Of all that must run.
  std::int64_t Together(const domain::Validation& validation,
                        std::int64_t TaskForecast::* time) const {
    return LongestPath(plan_, [&](const std::string& label) {
      const auto task = std::ranges::find(validation.tasks, label, &TaskForecast::label);
      return task->cached ? 0 : (*task).*time;
    });
  }

  boost::asio::awaitable<Result<TaskForecast>> Look(const PlannedTask& task) {
    TaskForecast forecast{.label = task.label, .kind = task.spec.kind};
    const sched::SizeClass size = sched::SizeClassOf(task.spec);
    if (const auto times = farm_.history.TimesOf(size)) {
      forecast.expected_run_low_ms = times->low;
      forecast.expected_run_ms = times->usual;
      forecast.expected_run_high_ms = times->high;
    }
    forecast.expected = farm_.history.MostUsed(size);
    CountWorkers(task, forecast);
    const auto inputs = InputsOf(task);
    if (!inputs) {
      co_return forecast;
    }
    const Sha256 key = domain::ActionKey(task.spec, *inputs, farm_.parts.version);
    forecast.action_key = key.Hex();
    if (spec_.no_cache) {
      co_return forecast;
    }
    TYLLM_CO_ASSIGN(const Seen seen,
                    co_await farm_.parts.store.Run([&](store::Queue& queue) -> Result<Seen> {
                      Seen found;
                      TYLLM_ASSIGN(found.result, queue.FindResult(key));
                      TYLLM_ASSIGN(found.running, queue.FindRunning(key));
                      return found;
                    }));
    forecast.joins = seen.running;
    if (seen.result) {
      const Result<TreeCheck> check = co_await CheckTree(farm_, *seen.result);
      forecast.cached = check.ok() && check->missing.empty();
      if (forecast.cached) {
        outputs_[task.label] = *seen.result;
      }
    }
    co_return forecast;
  }

  std::optional<std::map<std::string, BlobId>> InputsOf(const PlannedTask& task) const {
    std::map<std::string, BlobId> inputs;
    for (const domain::TaskInput& input : task.inputs) {
      const auto made = outputs_.find(input.from);
      if (input.tree) {
        inputs[input.name] = *input.tree;
      } else if (made != outputs_.end()) {
        inputs[input.name] = made->second;
      } else {
        return std::nullopt;
      }
    }
    return inputs;
  }

  void CountWorkers(const PlannedTask& task, TaskForecast& forecast) const {
    const sched::Needs needs = sched::NeedsOf(task, spec_.requirements);
    std::vector<const domain::Capabilities*> offers;
    for (const sched::Online& one : online_) {
      offers.push_back(&one.worker->capabilities);
      if (one.takes_work && sched::CanTake(one.worker->capabilities, needs)) {
        ++forecast.eligible_workers;
        forecast.free_workers += sched::HasRoom(one, needs) ? 1 : 0;
      }
    }
    forecast.shortfalls = sched::FindShortfalls(needs, offers);
  }

  Problem NoWorker(const TaskForecast& forecast, const PlannedTask& task) const {
    sched::PendingTask waiting;
    waiting.lane.needs = sched::NeedsOf(task, spec_.requirements);
    const domain::Pending pending = sched::ExplainPending(waiting, online_, {}, 0);
    return {.reason = std::string(domain::kNoWorkerReason),
            .field = "spec.requirements",
            .message = forecast.label + ": " + pending.message,
            .missing = {}};
  }

  // Of the first task that must run; the others wait for it or for the same workers.
  boost::asio::awaitable<Result<std::int64_t>> ExpectedWait(
      const std::vector<TaskForecast>& forecasts) {
    const auto first = std::find_if(forecasts.begin(), forecasts.end(),
                                    [](const TaskForecast& one) { return !one.cached; });
    if (first == forecasts.end()) {
      co_return std::int64_t{0};
    }
    const PlannedTask& task = plan_.tasks[static_cast<std::size_t>(first - forecasts.begin())];
    sched::PendingTask waiting;
    waiting.lane = store::lanes::KeyOf(spec_, task);
    if (first->expected_run_ms >= 0) {
      waiting.usual_run_ms = first->expected_run_ms;
    }
    waiting.wanted_gpu_memory = first->expected.gpu_memory_bytes;
    const std::int64_t now = farm_.parts.clock.UnixMillis();
    const sched::Fairness& fairness = farm_.parts.limits.policy.fairness;
    sched::Shares shares;
    const Status looked = co_await farm_.parts.store.Look([&](store::Queue& queue) -> Status {
      QueueReading reading(queue, online_, fairness, now);
      TYLLM_TRY(reading.Look());
      TYLLM_ASSIGN(waiting.ahead, reading.Ahead(waiting.lane, kLastJob));
      shares = reading.shares();
      return OkStatus();
    });
    TYLLM_CO_TRY(looked);
    co_return sched::ExplainPending(waiting, online_, shares, now).expected_wait_ms;
  }

  Farm& farm_;
  const domain::JobSpec& spec_;
  const domain::JobPlan& plan_;
  const std::vector<sched::Online> online_;
  std::map<std::string, BlobId> outputs_;  ///< that are there, by label
};

}  // namespace

std::vector<Problem> ProblemsOf(const domain::JobSpec& spec, std::string_view text,
                                const Limits& limits) {
  std::vector<Problem> problems;
  if (const Status status = domain::Check(spec); !status.ok()) {
    problems.push_back(WrongField(status));
  }
  if (std::ssize(text) > limits.largest_spec_bytes) {
    problems.push_back(WrongField(InvalidArgument(
        "the request has " + std::to_string(text.size()) + " bytes, expected at most " +
        std::to_string(limits.largest_spec_bytes) + "; shorten its labels or patterns")));
  }
  return problems;
}

boost::asio::awaitable<Result<domain::Validation>> ValidateJob(Farm& farm,
                                                               domain::SubmitRequest request) {
  domain::Validation validation;
  validation.problems =
      ProblemsOf(request.spec, format::CompactText(request.spec), farm.parts.limits);
  if (!validation.problems.empty()) {
    co_return validation;  // of such a job there is nothing to tell
  }
  TYLLM_CO_ASSIGN(JobInputs inputs, co_await CheckInputs(farm, request.spec));
  Status admitted;
  const Status looked = co_await farm.parts.store.Look([&](store::Queue& queue) -> Status {
    admitted = AdmitToProject(queue, request.spec, inputs.sizes);
    return admitted.code() == StatusCode::kResourceExhausted ? OkStatus() : admitted;
  });
  TYLLM_CO_TRY(looked);
  domain::JobPlan plan = domain::PlanJob(request.spec);
  NeedTools(inputs, plan);
  TYLLM_CO_TRY(co_await ChooseCompiler(farm, request.spec, plan));
  Forecaster forecaster(farm, request.spec, plan);
  TYLLM_CO_ASSIGN(validation, co_await forecaster.Run());
  auto& problems = inputs.problems;
  if (!admitted.ok()) {
    problems.push_back({.reason = std::string(domain::kQuotaExceededReason),
                        .field = "spec.project",
                        .message = admitted.message(),
                        .missing = {}});
  }
  validation.problems.insert(validation.problems.begin(), problems.begin(), problems.end());
  co_return validation;
}

}  // namespace tyllm::server::core
