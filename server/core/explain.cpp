// SPDX-License-Identifier: Apache-2.0
#include "server/core/explain.h"

#include <algorithm>
#include <map>

#include "server/core/forecast.h"
#include "server/core/queue_reading.h"
#include "server/sched/explain.h"
#include "server/sched/past_attempts.h"

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
  std::vector<std::int64_t> ahead;                  ///< of each
  std::vector<std::vector<std::string>> spoilt_by;  ///< each, as sched::PendingTask has it
  sched::Shares shares;
};

Result<std::vector<std::string>> SpoiltBy(store::Queue& queue, domain::TaskId task) {
  TYLLM_ASSIGN(const std::vector<domain::AttemptRecord> attempts, queue.Attempts(task));
  std::vector<std::string> workers = sched::SpoiltBy(attempts);
  const auto lost_by = sched::LostBy(attempts, static_cast<int>(attempts.size()));
  workers.insert(workers.end(), lost_by.begin(), lost_by.end());
  return workers;
}

Result<Snapshot> Take(store::Queue& queue, QueueReading reading, const domain::JobView& job) {
  Snapshot snapshot;
  TYLLM_TRY(reading.Look());
  TYLLM_ASSIGN(snapshot.tasks, queue.Pending(job.id));
  for (const store::PendingRecord& task : snapshot.tasks) {
    std::int64_t ahead = 0;
    if (task.state == domain::TaskState::kQueued && !task.joined) {
      TYLLM_ASSIGN(ahead, reading.Ahead(task.lane_key, job.id));
    }
    snapshot.ahead.push_back(ahead);
    const bool was_tried = std::ranges::any_of(job.tasks, [&](const domain::TaskView& one) {
      return one.id == task.id && one.attempt > 0;
    });
    std::vector<std::string> spoilt_by;
    if (was_tried) {
      TYLLM_ASSIGN(spoilt_by, SpoiltBy(queue, task.id));
    }
    snapshot.spoilt_by.push_back(std::move(spoilt_by));
  }
  snapshot.shares = reading.shares();
  return snapshot;
}

/// When a job is expected to end, by what is known of its tasks.
class Expectation {
 public:
  Expectation(const Farm& farm, const domain::JobView& job, const Past& past)
      : farm_(farm), job_(job), past_(past) {}

  /// In milliseconds since 1970; 0 when there is nothing to tell from.
  std::int64_t EndOf(const domain::JobPlan& plan) {
    const std::int64_t path =
        LongestPath(plan, [&](const std::string& label) { return Left(label).value_or(-1); });
    return path < 0 ? 0 : farm_.parts.clock.UnixMillis() + wait_ms_ + path;
  }

 private:
  std::optional<std::int64_t> Left(const std::string& label) {
    const auto task = std::find_if(job_.tasks.begin(), job_.tasks.end(),
                                   [&](const auto& one) { return one.label == label; });
    if (task == job_.tasks.end() || IsFinal(task->state)) {
      return 0;
    }
    return IsHeld(task->state) ? LeftOfRun(*task) : LeftOfWaiting(*task);
  }

  std::optional<std::int64_t> LeftOfRun(const domain::TaskView& task) const {
    const Clock::Steady now = farm_.parts.clock.Now();
    std::optional<std::int64_t> stage;
    if (const Attempts::Live* const live = farm_.attempts.Find({task.id, task.attempt})) {
      stage = sched::StageLeft(live->progress, live->pace, live->times.progressed, now);
    }
    const std::int64_t ran = farm_.parts.clock.UnixMillis() - task.started_unix_ms;
    return sched::TimeLeft(past_.UsualRun(task.label), ran, stage);
  }

  // One that waits for its inputs begins when they are there.
  std::optional<std::int64_t> LeftOfWaiting(const domain::TaskView& task) {
    if (!task.pending) {
      return std::nullopt;
    }
    if (task.pending->reason != domain::PendingReason::kInputs) {
      if (task.pending->expected_wait_ms < 0) {
        return std::nullopt;
      }
      wait_ms_ = std::max(wait_ms_, task.pending->expected_wait_ms);
    }
    return past_.UsualRun(task.label);
  }

  const Farm& farm_;
  const domain::JobView& job_;
  const Past& past_;
  std::int64_t wait_ms_ = 0;
};

sched::PendingTask ToPending(const Snapshot& snapshot, std::size_t i, const Past& past,
                             const std::string& label) {
  const store::PendingRecord& record = snapshot.tasks[i];
  return {.state = record.state,
          .lane = record.lane_key,
          .waits_for = record.waits_for,
          .joined = record.joined,
          .not_before_ms = record.not_before_ms,
          .ahead = snapshot.ahead[i],
          .usual_run_ms = past.UsualRun(label),
          .wanted_gpu_memory = past.GpuMemory(label),
          .spoilt_by = snapshot.spoilt_by[i]};
}

// Every task of the job has a worker that can take it.
bool HasWorkers(const std::vector<sched::Online>& online, const domain::JobSpec& spec,
                const domain::JobPlan& plan) {
  return std::all_of(plan.tasks.begin(), plan.tasks.end(), [&](const domain::PlannedTask& task) {
    const sched::Needs needs = sched::NeedsOf(task, spec.requirements);
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
    return Take(queue, QueueReading(queue, online, fairness, now), job);
  }));
  const domain::JobPlan plan = domain::PlanJob(job.spec);
  const Past past(farm.history, plan);
  for (std::size_t i = 0; i < snapshot.tasks.size(); ++i) {
    for (domain::TaskView& task : job.tasks) {
      if (task.id == snapshot.tasks[i].id && task.state == snapshot.tasks[i].state) {
        task.pending = sched::ExplainPending(ToPending(snapshot, i, past, task.label), online,
                                             snapshot.shares, now);
      }
    }
  }
  job.expected_end_unix_ms = Expectation(farm, job, past).EndOf(plan);
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
    waiting.lane.needs = sched::NeedsOf(task, spec.requirements);
    domain::Pending pending = sched::ExplainPending(waiting, online, {}, now);
    if (pending.reason == domain::PendingReason::kNoWorker) {
      told[task.label] = std::move(pending);
    }
  }
  return told;
}

}  // namespace tyllm::server::core
