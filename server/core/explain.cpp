// SPDX-License-Identifier: Apache-2.0
#include "server/core/explain.h"

#include <algorithm>
#include <limits>

#include "server/sched/explain.h"

namespace tyllm::server::core {

namespace {

/// Positions are told up to here.
constexpr std::int64_t kFarthest = 1000;

std::vector<sched::Online> OnlineNow(const Farm& farm) {
  return farm.fleet.OnlineSince(farm.parts.clock.Now() - farm.parts.limits.policy.lease);
}

/// What of the queue bears on a job's waiting tasks.
struct Snapshot {
  std::vector<store::PendingRecord> tasks;
  std::vector<std::int64_t> ahead;  ///< of each
  sched::Shares shares;
};

// Some worker can do both, so that one may keep the other waiting.
bool Compete(const std::vector<sched::Online>& online, const sched::Needs& a,
             const sched::Needs& b) {
  return std::any_of(online.begin(), online.end(), [&](const sched::Online& one) {
    return one.takes_work && CanTake(one.worker->capabilities, a) &&
           CanTake(one.worker->capabilities, b);
  });
}

class Reading {
 public:
  Reading(store::Queue& queue, const std::vector<sched::Online>& online,
          const sched::Fairness& fairness, std::int64_t now)
      : queue_(queue), online_(online), fairness_(fairness), now_(now) {}

  Result<Snapshot> Take(domain::JobId job) {
    Snapshot snapshot;
    TYLLM_ASSIGN(snapshot.tasks, queue_.Pending(job));
    TYLLM_ASSIGN(snapshot.shares, queue_.Shares(now_));
    TYLLM_ASSIGN(const std::vector<sched::Lane> lanes, queue_.Lanes(now_));
    for (const store::PendingRecord& task : snapshot.tasks) {
      std::int64_t ahead = 0;
      if (task.state == domain::TaskState::kQueued && !task.joined) {
        TYLLM_ASSIGN(ahead, Ahead(task, job, lanes, snapshot.shares));
      }
      snapshot.ahead.push_back(ahead);
    }
    return snapshot;
  }

 private:
  // Tasks of lanes that are served first, and older ones of its own.
  Result<std::int64_t> Ahead(const store::PendingRecord& task, domain::JobId job,
                             const std::vector<sched::Lane>& lanes, const sched::Shares& shares) {
    std::int64_t ahead = 0;
    for (const std::size_t i : sched::FairOrder(lanes, shares, SlotsOf(), now_, fairness_)) {
      const bool own = lanes[i].id == task.lane;
      if (!own && !Compete(online_, lanes[i].key.needs, task.lane_key.needs)) {
        continue;
      }
      const domain::JobId before{own ? job.value : std::numeric_limits<std::int64_t>::max()};
      TYLLM_ASSIGN(const std::int64_t count,
                   queue_.CountBefore(lanes[i].id, before, kFarthest - ahead));
      ahead += count;
      if (own || ahead >= kFarthest) {
        break;
      }
    }
    return ahead;
  }

  sched::Slots SlotsOf() const {
    sched::Slots slots;
    for (const sched::Online& one : online_) {
      slots.total += one.takes_work ? one.worker->capabilities.slots : 0;
    }
    return slots;
  }

  store::Queue& queue_;
  const std::vector<sched::Online>& online_;
  const sched::Fairness& fairness_;
  const std::int64_t now_;
};

sched::PendingTask ToPending(const store::PendingRecord& record, std::int64_t ahead) {
  return {.state = record.state,
          .lane = record.lane_key,
          .waits_for = record.waits_for,
          .joined = record.joined,
          .not_before_ms = record.not_before_ms,
          .ahead = ahead,
          .usual_run_ms = std::nullopt};
}

// Every task of the job has a worker that can take it.
bool HasWorkers(const std::vector<sched::Online>& online, const domain::JobSpec& spec) {
  const domain::JobPlan plan = domain::PlanJob(spec);
  return std::all_of(plan.tasks.begin(), plan.tasks.end(), [&](const domain::PlannedTask& task) {
    const sched::Needs needs = sched::NeedsOf(task.spec, spec.requirements);
    return std::any_of(online.begin(), online.end(), [&](const sched::Online& one) {
      return sched::CanTake(one.worker->capabilities, needs);
    });
  });
}

}  // namespace

boost::asio::awaitable<Status> AddPending(Farm& farm, domain::JobView& job) {
  const bool any = std::any_of(job.tasks.begin(), job.tasks.end(), [](const auto& task) {
    return task.state == domain::TaskState::kWaiting || task.state == domain::TaskState::kQueued;
  });
  if (!any) {
    co_return OkStatus();
  }
  const std::int64_t now = farm.parts.clock.UnixMillis();
  const std::vector<sched::Online> online = OnlineNow(farm);
  const sched::Fairness& fairness = farm.parts.limits.policy.fairness;
  TYLLM_CO_ASSIGN(const Snapshot snapshot, co_await farm.parts.store.Run([&](store::Queue& queue) {
    return Reading(queue, online, fairness, now).Take(job.id);
  }));
  for (std::size_t i = 0; i < snapshot.tasks.size(); ++i) {
    for (domain::TaskView& task : job.tasks) {
      if (task.id == snapshot.tasks[i].id && task.state == snapshot.tasks[i].state) {
        task.pending = sched::ExplainPending(ToPending(snapshot.tasks[i], snapshot.ahead[i]),
                                             online, snapshot.shares, now);
      }
    }
  }
  co_return OkStatus();
}

boost::asio::awaitable<Result<std::int64_t>> CountUnsatisfiable(Farm& farm) {
  constexpr std::int64_t kMost = 100'000;
  const std::vector<sched::Online> online = OnlineNow(farm);
  const std::int64_t now = farm.parts.clock.UnixMillis();
  co_return co_await farm.parts.store.Run([&](store::Queue& queue) -> Result<std::int64_t> {
    TYLLM_ASSIGN(const std::vector<sched::Lane> lanes, queue.Lanes(now));
    std::int64_t tasks = 0;
    for (const sched::Lane& lane : lanes) {
      if (!Compete(online, lane.key.needs, lane.key.needs)) {
        const domain::JobId all{std::numeric_limits<std::int64_t>::max()};
        TYLLM_ASSIGN(const std::int64_t count, queue.CountBefore(lane.id, all, kMost));
        tasks += count;
      }
    }
    return tasks;
  });
}

boost::asio::awaitable<Result<bool>> TellIfNobodyCan(Farm& farm, domain::JobId job,
                                                     const domain::JobSpec& spec) {
  const std::vector<sched::Online> online = OnlineNow(farm);
  // Seldom so, and found out without the queue.
  if (online.empty() || HasWorkers(online, spec)) {
    co_return false;
  }
  const std::int64_t now = farm.parts.clock.UnixMillis();
  const Status told = co_await farm.parts.store.Run([&](store::Queue& queue) -> Status {
    TYLLM_ASSIGN(const std::vector<store::PendingRecord> tasks, queue.Pending(job));
    for (const store::PendingRecord& task : tasks) {
      const domain::Pending pending = sched::ExplainPending(ToPending(task, 0), online, {}, now);
      if (pending.reason == domain::PendingReason::kNoWorker) {
        TYLLM_TRY(queue.NoteEvent(task.id, pending.message, now));
      }
    }
    return OkStatus();
  });
  TYLLM_CO_TRY(told);
  co_return true;
}

}  // namespace tyllm::server::core
