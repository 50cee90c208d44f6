// SPDX-License-Identifier: Apache-2.0
#include "server/core/explain.h"

#include <algorithm>
#include <map>

#include "server/core/forecast.h"
#include "server/core/queue_reading.h"
#include "server/sched/explain.h"

namespace tyllm::server::core {

namespace {

/// What the farm's history says of a job's tasks, by label.
class Past {
 public:
  Past(const sched::RunHistory& history, const domain::JobPlan& plan) {
    for (const domain::PlannedTask& task : plan.tasks) {
      const sched::SizeClass size = sched::SizeClassOf(task.spec);
      known_[task.label] = {history.TimesOf(size), history.MostUsed(size)};
    }
  }

  std::optional<std::int64_t> UsualRun(const std::string& label) const {
    const auto found = known_.find(label);
    return found == known_.end() || !found->second.times
               ? std::nullopt
               : std::optional(found->second.times->usual);
  }

  std::int64_t GpuMemory(const std::string& label) const {
    const auto found = known_.find(label);
    return found == known_.end() ? 0 : found->second.used.gpu_memory_bytes;
  }

 private:
  struct Known {
    std::optional<sched::RunTimes> times;
    domain::Resources used;
  };

  std::map<std::string, Known> known_;
};

/// What of the queue bears on a job's waiting tasks.
struct Snapshot {
  std::vector<store::PendingRecord> tasks;
  std::vector<std::int64_t> ahead;  ///< of each
  sched::Shares shares;
};

Result<Snapshot> Take(store::Queue& queue, QueueReading reading, domain::JobId job) {
  Snapshot snapshot;
  TYLLM_TRY(reading.Look());
  TYLLM_ASSIGN(snapshot.tasks, queue.Pending(job));
  for (const store::PendingRecord& task : snapshot.tasks) {
    std::int64_t ahead = 0;
    if (task.state == domain::TaskState::kQueued && !task.joined) {
      TYLLM_ASSIGN(ahead, reading.Ahead(task.lane_key, job));
    }
    snapshot.ahead.push_back(ahead);
  }
  snapshot.shares = reading.shares();
  return snapshot;
}

// When the job is expected to end, if its tasks are of kinds that have been done before.
std::int64_t ExpectedEnd(const domain::JobView& job, const domain::JobPlan& plan, const Past& past,
                         std::int64_t now) {
  std::int64_t wait = 0;
  const auto left = [&](const std::string& label) -> std::int64_t {
    const auto task = std::find_if(job.tasks.begin(), job.tasks.end(),
                                   [&](const auto& one) { return one.label == label; });
    if (task == job.tasks.end() || IsFinal(task->state)) {
      return 0;
    }
    const std::optional<std::int64_t> run = past.UsualRun(label);
    if (!run) {
      return -1;
    }
    if (IsHeld(task->state)) {
      return std::max<std::int64_t>(0, *run - (now - task->started_unix_ms));
    }
    wait = std::max(wait, task->pending ? task->pending->expected_wait_ms : 0);
    return *run;
  };
  const std::int64_t path = LongestPath(plan, left);
  return path < 0 ? 0 : now + wait + path;
}

sched::PendingTask ToPending(const store::PendingRecord& record, std::int64_t ahead,
                             const Past& past, const std::string& label) {
  return {.state = record.state,
          .lane = record.lane_key,
          .waits_for = record.waits_for,
          .joined = record.joined,
          .not_before_ms = record.not_before_ms,
          .ahead = ahead,
          .usual_run_ms = past.UsualRun(label),
          .wanted_gpu_memory = past.GpuMemory(label)};
}

// Every task of the job has a worker that can take it.
bool HasWorkers(const std::vector<sched::Online>& online, const domain::JobSpec& spec,
                const domain::JobPlan& plan) {
  return std::all_of(plan.tasks.begin(), plan.tasks.end(), [&](const domain::PlannedTask& task) {
    const sched::Needs needs = sched::NeedsOf(task.spec, spec.requirements);
    return std::any_of(online.begin(), online.end(), [&](const sched::Online& one) {
      return sched::CanTake(one.worker->capabilities, needs);
    });
  });
}

}  // namespace

boost::asio::awaitable<Status> AddPending(Farm& farm, domain::JobView& job) {
  if (IsFinal(job.state)) {
    co_return OkStatus();
  }
  const std::int64_t now = farm.parts.clock.UnixMillis();
  const std::vector<sched::Online> online = OnlineNow(farm);
  const sched::Fairness& fairness = farm.parts.limits.policy.fairness;
  TYLLM_CO_ASSIGN(const Snapshot snapshot, co_await farm.parts.store.Look([&](store::Queue& queue) {
    return Take(queue, QueueReading(queue, online, fairness, now), job.id);
  }));
  const domain::JobPlan plan = domain::PlanJob(job.spec);
  const Past past(farm.history, plan);
  for (std::size_t i = 0; i < snapshot.tasks.size(); ++i) {
    for (domain::TaskView& task : job.tasks) {
      if (task.id == snapshot.tasks[i].id && task.state == snapshot.tasks[i].state) {
        task.pending =
            sched::ExplainPending(ToPending(snapshot.tasks[i], snapshot.ahead[i], past, task.label),
                                  online, snapshot.shares, now);
      }
    }
  }
  job.expected_end_unix_ms = ExpectedEnd(job, plan, past, now);
  co_return OkStatus();
}

boost::asio::awaitable<Result<std::int64_t>> CountUnsatisfiable(Farm& farm) {
  constexpr std::int64_t kMost = 100'000;
  const std::vector<sched::Online> online = OnlineNow(farm);
  const std::int64_t now = farm.parts.clock.UnixMillis();
  co_return co_await farm.parts.store.Look([&](store::Queue& queue) -> Result<std::int64_t> {
    TYLLM_ASSIGN(const std::vector<sched::Lane> lanes, queue.Lanes(now));
    std::int64_t tasks = 0;
    for (const sched::Lane& lane : lanes) {
      if (!Compete(online, lane.key.needs, lane.key.needs)) {
        TYLLM_ASSIGN(const std::int64_t count, queue.CountBefore(lane.id, kLastJob, kMost));
        tasks += count;
      }
    }
    return tasks;
  });
}

std::vector<sched::Online> NobodyFor(Farm& farm, const domain::JobSpec& spec,
                                     const domain::JobPlan& plan) {
  std::vector<sched::Online> online = OnlineNow(farm);
  if (HasWorkers(online, spec, plan)) {
    online.clear();
  }
  return online;
}

std::map<std::string, domain::Pending> WhatNobodyCan(const domain::JobSpec& spec,
                                                     const domain::JobPlan& plan,
                                                     const std::vector<sched::Online>& online,
                                                     std::int64_t now) {
  std::map<std::string, domain::Pending> told;
  for (const domain::PlannedTask& task : plan.tasks) {
    sched::PendingTask waiting;
    waiting.lane.needs = sched::NeedsOf(task.spec, spec.requirements);
    domain::Pending pending = sched::ExplainPending(waiting, online, {}, now);
    if (pending.reason == domain::PendingReason::kNoWorker) {
      told[task.label] = std::move(pending);
    }
  }
  return told;
}

}  // namespace tyllm::server::core
