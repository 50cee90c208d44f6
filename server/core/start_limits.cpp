// SPDX-License-Identifier: Apache-2.0
#include "server/core/start_limits.h"

#include <algorithm>
#include <string>
#include <vector>

#include "server/core/get_job.h"
#include "server/sched/explain.h"

namespace tyllm::server::core {

namespace {

using boost::asio::awaitable;
using domain::PendingReason;

/// Of a sweep: each is explained before it is ended, and other calls are answered meanwhile.
constexpr std::int64_t kAtATime = 256;

// The first task that waits for something else than for others of the job.
const domain::TaskView* FirstWaiting(const domain::JobView& job) {
  const auto waits = std::ranges::find_if(job.tasks, [](const domain::TaskView& task) {
    return task.pending && task.pending->reason != PendingReason::kInputs;
  });
  return waits == job.tasks.end() ? nullptr : &*waits;
}

std::string WhatToDo(const domain::JobView& job, const domain::TaskView* waits) {
  const bool nobody = waits != nullptr && waits->pending->reason == PendingReason::kNoWorker;
  const std::string first =
      nobody ? "start a worker that can take it, or ask for less of one"
             : "see with `tyllm-client workers` and `tyllm-client projects` who is busy with what, "
               "or give it longer or a higher priority";
  return first + "; `tyllm-client retry " + job.id.ToString() +
         "` queues it again, with as much time to begin";
}

std::string InWords(std::int64_t ms) {
  return ms % 1000 == 0 ? std::to_string(ms / 1000) + " s" : std::to_string(ms) + " ms";
}

domain::Failure NotStarted(const domain::JobView& job) {
  const domain::TaskView* const waits = FirstWaiting(job);
  std::string message =
      "none of its tasks began within " + InWords(job.spec.start_within_ms.value_or(0));
  if (waits != nullptr) {
    std::string why = waits->pending->message;
    if (why.ends_with(sched::kWaitsForWorker)) {
      why.resize(why.size() - sched::kWaitsForWorker.size());
    }
    message += "; at the end, " + waits->label + ": " + why;
  }
  return {.blame = domain::Blame::kFarm,
          .reason = std::string(domain::kNotStartedReason),
          .message = std::move(message),
          .stage = {},
          .retryable = false,
          .log_tail = {},
          .action = WhatToDo(job, waits)};
}

awaitable<Status> GiveUp(Farm& farm, domain::JobId id) {
  const Result<domain::JobView> job = co_await GetJob(farm, id);
  if (job.status().code() == StatusCode::kNotFound) {
    co_return OkStatus();
  }
  TYLLM_CO_TRY(job.status());
  const domain::Failure failure = NotStarted(*job);
  const std::int64_t now = farm.parts.clock.UnixMillis();
  TYLLM_CO_ASSIGN(const bool ended, co_await farm.parts.store.Run([&](store::Queue& queue) {
    return queue.GiveUp(id, failure, now);
  }));
  farm.signals.Notify(Topic::Of(id));
  if (ended && farm.parts.log != nullptr) {
    farm.parts.log->Info("job given up: " + failure.message, {{"job", id.ToString()}});
  }
  co_return OkStatus();
}

}  // namespace

awaitable<Status> GiveUpUnstarted(Farm& farm) {
  const std::int64_t now = farm.parts.clock.UnixMillis();
  const bool workers_may_come =
      farm.parts.clock.Now() - farm.listens_since.at < farm.parts.limits.policy.Presence();
  const std::int64_t from = workers_may_come ? farm.listens_since.unix_ms : 0;
  TYLLM_CO_ASSIGN(const std::vector<domain::JobId> jobs,
                  co_await farm.parts.store.Look(
                      [&](store::Queue& queue) { return queue.Unstarted(now, from, kAtATime); }));
  // One that cannot be read keeps no other from its end.
  Status trouble;
  for (const domain::JobId job : jobs) {
    if (farm.stopping()) {
      break;
    }
    const Status done = co_await GiveUp(farm, job);
    trouble = trouble.ok() ? done : trouble;
  }
  co_return trouble;
}

}  // namespace tyllm::server::core
