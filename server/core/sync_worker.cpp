// SPDX-License-Identifier: Apache-2.0
#include "server/core/sync_worker.h"

#include <algorithm>

#include "server/core/assign_work.h"
#include "server/core/compilers.h"
#include "server/core/end_attempts.h"
#include "server/core/stand_still.h"
#include "server/core/worker_reports.h"
#include "server/core/worker_session.h"

namespace tyllm::server::core {

namespace {

using domain::SyncReply;
using domain::SyncRequest;
using store::HeldTask;

bool Contains(const std::vector<domain::TaskId>& all, domain::TaskId one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

/// Of a task until a worker got it.
struct Wait {
  domain::TaskKind kind;
  std::int64_t ms = 0;
  bool missed = false;  ///< a result that it might have used
};

/// An attempt for the worker to begin.
struct Start {
  store::Lease lease;
  domain::Resources resources;  ///< that it is taken to use
};

/// What the queue has for a worker.
struct Found {
  std::vector<Start> starts;
  std::vector<Wait> waits;      ///< of those of them that are new
  std::vector<HeldTask> held;   ///< of the worker, the new ones included
  std::vector<HeldTask> ended;  ///< cancelled before the worker heard of them
  int free_slots = 0;           ///< beside those held, of one that is benched as many as it may try
  domain::Resources used;       ///< by those held, if there is a free slot
  bool has_results = false;     ///< some task that waits, of what was recorded
};

bool Names(const SyncRequest& request, domain::TaskId task) {
  return std::any_of(request.held.begin(), request.held.end(),
                     [&](const domain::HeldAttempt& held) { return held.id.task == task; });
}

// Attempts of this very session that it does not name: the answer that gave them was lost.
Status FindUnheard(store::Queue& queue, const SyncRequest& request, Found& found) {
  for (const HeldTask& task : found.held) {
    if (task.holder == request.from && task.state == domain::TaskState::kLeased &&
        !Names(request, task.id.task)) {
      TYLLM_ASSIGN(store::Lease lease, queue.GetLease(task.id));
      TYLLM_ASSIGN(const sched::LaneKey lane, queue.LaneKeyOf(task.id.task));
      found.starts.push_back({std::move(lease), sched::ResourcesOf(lane.needs)});
    }
  }
  return OkStatus();
}

// A cancelled attempt that the worker never heard of cannot be stopped by it.
Status EndUnheardCancelled(store::Queue& queue, const SyncRequest& request, std::int64_t now,
                           Found& found) {
  TYLLM_ASSIGN(const std::vector<HeldTask> held, queue.HeldBy(request.from.worker));
  for (const HeldTask& task : held) {
    if (task.holder == request.from && task.state == domain::TaskState::kCancelling &&
        !Names(request, task.id.task)) {
      TYLLM_TRY(queue.EndCancelled(task.id, now));
      found.ended.push_back(task);
    } else {
      found.held.push_back(task);
    }
  }
  return OkStatus();
}

// The one whose output is on its way while the next task begins.
std::optional<domain::AttemptId> SentOf(const SyncRequest& request,
                                        const std::vector<HeldTask>& held) {
  for (const domain::HeldAttempt& attempt : request.held) {
    const bool is_held = std::ranges::any_of(held, [&](const HeldTask& task) {
      return task.id == attempt.id && task.holder == request.from;
    });
    if (attempt.sending && is_held) {
      return attempt.id;
    }
  }
  return std::nullopt;
}

// What a worker's tasks are taken to use.
Result<domain::Resources> UsedBy(store::Queue& queue, const std::vector<HeldTask>& held,
                                 std::optional<domain::AttemptId> sent) {
  domain::Resources used;
  for (const HeldTask& task : held) {
    TYLLM_ASSIGN(const sched::LaneKey lane, queue.LaneKeyOf(task.id.task));
    domain::Resources its = sched::ResourcesOf(lane.needs);
    if (task.id == sent) {
      its = {.disk_bytes = its.disk_bytes};
    }
    used = sched::Sum(used, its);
  }
  return used;
}

/// One moment on both clocks.
struct Times {
  std::int64_t unix_ms = 0;
  Clock::Steady steady;
};

Result<Found> FindWork(store::Queue& queue, const SyncRequest& request, FreeWorker worker,
                       bool takes_new, const sched::Policy& policy, const Times& now) {
  Found found;
  TYLLM_TRY(EndUnheardCancelled(queue, request, now.unix_ms, found));
  TYLLM_TRY(FindUnheard(queue, request, found));
  const std::optional<domain::AttemptId> sent = SentOf(request, found.held);
  const int taken = static_cast<int>(found.held.size()) - (sent ? 1 : 0);
  found.free_slots = sched::FreeOnTrial(worker.trouble, request.capabilities.slots - taken,
                                        found.held.empty(), now.steady, policy);
  worker.free_slots = found.free_slots;
  if (!takes_new || worker.free_slots <= 0) {
    return found;
  }
  TYLLM_ASSIGN(found.used, UsedBy(queue, found.held, sent));
  worker.used = found.used;
  TYLLM_ASSIGN(std::vector<Given> given, AssignWork(queue, std::move(worker), policy, now.unix_ms));
  for (auto& [lease, resources, waited_ms, missed] : given) {
    found.waits.push_back({lease.spec.kind, waited_ms, missed});
    found.held.push_back({.id = lease.id,
                          .job = lease.job,
                          .kind = lease.spec.kind,
                          .holder = request.from,
                          .spent = {},  // nobody asks before it has ended
                          .started_unix_ms = now.unix_ms});
    --found.free_slots;
    found.used = sched::Sum(found.used, resources);
    found.starts.push_back({std::move(lease), resources});
  }
  return found;
}

/// One call of a worker, after its reports are taken.
class Turn {
 public:
  Turn(Farm& farm, const SyncRequest& request, SyncReply& reply, Clock::Steady came)
      : farm_(farm), request_(request), reply_(reply), came_(came) {}

  /// Records what it has finished, gives it what there is for it, and tells what it is to stop.
  boost::asio::awaitable<Status> Look(std::vector<Success> successes) {
    const Times now{farm_.parts.clock.UnixMillis(), farm_.parts.clock.Now()};
    FreeWorker worker = Ask();
    if (!successes.empty()) {
      worker.trouble = {};  // it is well
    }
    const bool takes_new = TakesNew();
    if (const Fleet::Member* const member = farm_.fleet.Find(request_.from.worker)) {
      reply_.order = member->order;
    }
    const auto record_and_find = [&](store::Queue& queue) -> Result<Found> {
      TYLLM_TRY(RecordSuccesses(queue, request_, successes, now.unix_ms));
      TYLLM_ASSIGN(Found all,
                   FindWork(queue, request_, worker, takes_new, farm_.parts.limits.policy, now));
      if (!successes.empty()) {
        TYLLM_ASSIGN(const std::vector<store::CacheHit> hits, queue.CacheHits({.limit = 1}));
        all.has_results = !hits.empty();
      }
      return all;
    };
    TYLLM_CO_ASSIGN(const Found found, co_await farm_.parts.store.Run(record_and_find));
    AcknowledgeSuccesses(farm_, successes, reply_);
    unlocks_others_ = found.has_results;
    free_slots_ = found.free_slots;
    farm_.fleet.SetLoad(request_.from.worker, free_slots_, found.used);
    for (const HeldTask& task : found.ended) {
      AttemptIsOver(farm_, task);
    }
    for (const HeldTask& task : found.held) {
      if (task.holder != request_.from) {
        farm_.fleet.SetSettled(request_.from.worker, false);  // its next call ends or takes it over
      }
      farm_.attempts.Follow(task, farm_.parts.clock);
      // One lease for all that it holds: the shortest.
      reply_.lease_ms =
          std::min(reply_.lease_ms, farm_.parts.limits.policy.ClocksOf(task.kind).lease.count());
    }
    BeginAll(found.starts);
    CountStarts(found.waits);
    StopWhatIsNotHeld(found.held);
    co_return OkStatus();
  }

  bool HasNews() const {
    return !reply_.start.empty() || !reply_.stop.empty() || !reply_.acknowledged.empty();
  }

  /// What was recorded is what a task of another job waits for.
  bool unlocks_others() const { return unlocks_others_; }

  /// With a free slot, and nobody has forbidden to fill it.
  bool MayWait() const {
    return free_slots_ > 0 && !request_.draining &&
           reply_.order.mode < domain::WorkerMode::kDraining;
  }

 private:
  bool TakesNew() const {
    const Fleet::Member* const member = farm_.fleet.Find(request_.from.worker);
    return !request_.draining && member != nullptr &&
           member->order.mode == domain::WorkerMode::kActive;
  }

  FreeWorker Ask() const {
    const Clock::Steady since = farm_.parts.clock.Now() - farm_.parts.limits.policy.Presence();
    FreeWorker worker{.session = request_.from, .asking = {}};
    const Fleet::Member& member = *farm_.fleet.Find(request_.from.worker);
    worker.asking.worker = member.state;
    worker.trouble = member.trouble;
    worker.asking.online = farm_.fleet.OnlineSince(since);
    worker.slots.total = farm_.fleet.SlotsSince(since);
    worker.too_large = TooLarge(*worker.asking.worker, *worker.asking.online);
    for (const domain::HeldAttempt& held : request_.held) {
      // What is acknowledged in this answer is forgotten before the new attempt is begun.
      worker.asking.held.push_back(held.id.task);
    }
    return worker;
  }

  std::map<sched::SizeClass, std::int64_t> TooLarge(
      const sched::WorkerState& worker, const std::vector<sched::Online>& online) const {
    const std::int64_t here = worker.capabilities.gpu_memory_bytes;
    auto larger =
        here > 0 ? farm_.history.WantMoreThan(here) : std::map<sched::SizeClass, std::int64_t>();
    const bool somebody = !larger.empty() && std::ranges::any_of(online, [&](const auto& other) {
      return other.worker->capabilities.gpu_memory_bytes > here;
    });
    return somebody ? larger : std::map<sched::SizeClass, std::int64_t>();
  }

  // Naming them in this answer is as good as hearing of them. The worker counts from its call and
  // as long as this one was held until now: it sent it before it came, so that its leases end no
  // later than here, however long the answer is on its way.
  void BeginAll(const std::vector<Start>& starts) {
    const Clock::Steady now = farm_.parts.clock.Now();
    if (!starts.empty() && request_.held.empty()) {
      reply_.held_ms = std::chrono::duration_cast<Milliseconds>(now - came_).count();
    }
    for (const Start& start : starts) {
      farm_.attempts.Heard(start.lease.id, {}, now);
      Begin(start);
    }
  }

  void Begin(const Start& start) {
    const store::Lease& lease = start.lease;
    const sched::Clocks clocks = farm_.parts.limits.policy.ClocksOf(lease.spec.kind);
    farm_.attempts.NoteAction(lease, request_.capabilities.toolchain_version);
    farm_.signals.Notify(Topic::Of(lease.job));
    farm_.signals.Notify(Topic::LogOf(lease.id.task));
    reply_.start.push_back({.id = lease.id,
                            .label = lease.label,
                            .spec = lease.spec,
                            .inputs = lease.inputs,
                            .lease_ms = clocks.lease.count(),
                            .deadline_ms = clocks.deadline.count(),
                            .stall_ms = clocks.stall.count(),
                            .checkpoint = lease.checkpoint,
                            .resources = start.resources});
  }

  void CountStarts(const std::vector<Wait>& waits) {
    telemetry::Metrics& metrics = farm_.parts.metrics;
    for (const Wait& wait : waits) {
      const std::string_view kind = domain::kTaskKindNames.Name(wait.kind);
      metrics.Count(telemetry::Metric::kAttemptsStarted);
      metrics.Observe(telemetry::Metric::kQueueWait, {kind}, static_cast<double>(wait.ms) / 1000);
      if (wait.missed) {
        metrics.Count(telemetry::Metric::kCacheMisses, {kind});
      }
    }
  }

  // While the call was held, attempts may have been cancelled or given to others.
  void StopWhatIsNotHeld(const std::vector<HeldTask>& held) {
    for (const domain::HeldAttempt& named : request_.held) {
      const auto task = std::find_if(held.begin(), held.end(), [&](const HeldTask& one) {
        return one.id == named.id && one.state == domain::TaskState::kLeased;
      });
      if (task == held.end() && !Contains(reply_.stop, named.id.task) &&
          !Contains(reply_.acknowledged, named.id.task)) {
        reply_.stop.push_back(named.id.task);
      }
    }
  }

  Farm& farm_;
  const SyncRequest& request_;
  SyncReply& reply_;
  const Clock::Steady came_;
  int free_slots_ = 0;
  bool unlocks_others_ = false;
};

Milliseconds LongestWait(const SyncRequest& request, const Limits& limits) {
  // Held attempts must be heard of again before their lease ends.
  const sched::Policy& policy = limits.policy;
  return std::min({Milliseconds(request.wait_ms), limits.longest_wait,
                   request.held.empty() ? policy.IdleWait() : policy.lease / 2});
}

}  // namespace

boost::asio::awaitable<Result<SyncReply>> SyncWorker(Farm& farm, SyncRequest request) {
  const Clock::Steady came = farm.parts.clock.Now();
  TYLLM_CO_TRY(CheckSync(request));
  NoteAwake(farm);
  TYLLM_CO_ASSIGN(const bool has_new_tools, co_await NoteCall(farm, request));
  const std::int64_t call = farm.fleet.Find(request.from.worker)->calls;
  if (has_new_tools) {
    // Some may have waited for them. What fails now is done by the next sweep.
    static_cast<void>(co_await MendCompilers(farm));
  }
  const Limits& limits = farm.parts.limits;
  SyncReply reply{.lease_ms = limits.policy.lease.count(),
                  .next_sync_ms = limits.sync_interval.count()};
  Signals::Subscription changes(farm.signals, Topic::Work());
  TYLLM_CO_ASSIGN(std::vector<Success> successes, co_await TakeReports(farm, request, reply));
  Turn turn(farm, request, reply, came);
  const Clock::Steady until = farm.parts.clock.Now() + LongestWait(request, limits);
  if (!successes.empty()) {
    TYLLM_CO_TRY(co_await turn.Look(std::move(successes)));
    if (turn.unlocks_others()) {
      farm.signals.Notify(Topic::Results());
    }
    co_return reply;
  }
  while (true) {
    TYLLM_CO_TRY(co_await turn.Look(std::vector<Success>()));
    const auto left = std::chrono::duration_cast<Milliseconds>(until - farm.parts.clock.Now());
    // A server that stops breaks off waits that it finds; none begins after that.
    if (turn.HasNews() || !turn.MayWait() || left.count() <= 0 || farm.stopping()) {
      co_return reply;
    }
    const bool woken = co_await changes.Wait(left);
    // A later call of the worker means that it has given up waiting for this one.
    if (!woken || farm.fleet.Find(request.from.worker)->calls != call) {
      reply.next_sync_ms = request.held.empty() ? 0 : reply.next_sync_ms;
      co_return reply;
    }
  }
}

}  // namespace tyllm::server::core
