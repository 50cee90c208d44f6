// SPDX-License-Identifier: Apache-2.0
#include "server/core/worker_reports.h"

#include <algorithm>

#include "server/core/checkpoints.h"
#include "server/core/end_attempts.h"
#include "server/core/trees.h"

namespace tyllm::server::core {

namespace {

using domain::HeldAttempt;
using domain::SyncReply;
using domain::SyncRequest;
using store::HeldTask;

/// What the queue knows of the attempts that a call names, in their order, and of others.
struct Standing {
  std::vector<std::optional<HeldTask>> named;  ///< nothing: fenced
  std::vector<HeldTask> lost;                  ///< of earlier sessions, not named
  bool to_adopt = false;                       ///< some that are named were an earlier session's
};

bool Names(const SyncRequest& request, const domain::AttemptId& id) {
  return std::any_of(request.held.begin(), request.held.end(),
                     [&](const HeldAttempt& held) { return held.id == id; });
}

// With `adopt` those become this session's.
Result<Standing> FindStanding(store::Queue& queue, const SyncRequest& request, bool adopt) {
  Standing standing;
  for (const HeldAttempt& held : request.held) {
    TYLLM_ASSIGN(std::optional<HeldTask> task, queue.FindHeld(held.id));
    if (task && task->holder.worker != request.from.worker) {
      task.reset();
    }
    if (task && task->holder.session != request.from.session) {
      standing.to_adopt = true;
      if (adopt) {
        TYLLM_TRY(queue.Adopt(held.id, request.from.session));
      }
      task->holder = request.from;
    }
    standing.named.push_back(std::move(task));
  }
  TYLLM_ASSIGN(const std::vector<HeldTask> all, queue.HeldBy(request.from.worker));
  for (const HeldTask& task : all) {
    if (task.holder.session != request.from.session && !Names(request, task.id)) {
      standing.lost.push_back(task);
    }
  }
  return standing;
}

bool HasEnded(const HeldAttempt& held) {
  return !std::holds_alternative<domain::Running>(held.outcome);
}

// Whether it matters little if the attempt is over by now: who renews it is told of its end later
// in the same call, and Queue::Complete takes a result of a current attempt only.
bool MayBeOver(const HeldAttempt& held) {
  return !HasEnded(held) || std::holds_alternative<domain::Succeeded>(held.outcome);
}

// As the queue told it last, without asking again: of a worker that goes on as it did.
std::optional<Standing> KnownStanding(const Farm& farm, const SyncRequest& request) {
  if (!farm.fleet.Find(request.from.worker)->settled) {
    return std::nullopt;
  }
  Standing standing;
  for (const HeldAttempt& held : request.held) {
    const Attempts::Live* const live = farm.attempts.Find(held.id);
    if (live == nullptr || live->task.holder != request.from ||
        live->task.state != domain::TaskState::kLeased || !MayBeOver(held)) {
      return std::nullopt;
    }
    standing.named.emplace_back(live->task);
  }
  return standing;
}

// Asks the queue, takes over what the worker's earlier sessions left and it still has, and ends
// what it has not.
boost::asio::awaitable<Result<Standing>> Settle(Farm& farm, const SyncRequest& request) {
  // Nobody is told of it before a transaction that comes later.
  TYLLM_CO_ASSIGN(Standing standing, co_await farm.parts.store.Glance([&](store::Queue& queue) {
    return FindStanding(queue, request, false);
  }));
  if (standing.to_adopt) {
    TYLLM_CO_ASSIGN(standing, co_await farm.parts.store.Run([&](store::Queue& queue) {
      return FindStanding(queue, request, true);
    }));
  }
  std::vector<Ended> lost;
  for (const HeldTask& task : standing.lost) {
    lost.push_back({.task = task, .ending = sched::Ending::kLeaseLost, .reported = std::nullopt});
  }
  TYLLM_CO_TRY(co_await EndAttempts(farm, std::move(lost)));
  if (farm.fleet.Find(request.from.worker)->session == request.from.session) {
    farm.fleet.SetSettled(request.from.worker, true);
  }
  co_return standing;
}

boost::asio::awaitable<Result<bool>> LogIsComplete(Farm& farm, const HeldAttempt& held) {
  if (held.log_bytes <= 0) {
    co_return true;
  }
  TYLLM_CO_ASSIGN(const std::int64_t size, co_await farm.parts.logs.Size(held.id));
  co_return size >= held.log_bytes;
}

domain::Failure BadOutput(const Status& problem) {
  return {.blame = domain::Blame::kWorker,
          .reason = "BAD_OUTPUT",
          .message = "the worker named an output that is no tree: " + problem.message(),
          .stage = {},
          .retryable = true,
          .log_tail = {}};
}

/// Records the outcomes of one call.
class Outcomes {
 public:
  Outcomes(Farm& farm, const SyncRequest& request, SyncReply& reply,
           std::vector<Success>& successes)
      : farm_(farm), request_(request), reply_(reply), successes_(successes) {}

  /// Without acknowledgement when something of it is not there yet: the agent reports it again.
  boost::asio::awaitable<Status> Take(const HeldAttempt& held, const HeldTask& task) {
    TYLLM_CO_ASSIGN(const bool log_is_there, co_await LogIsComplete(farm_, held));
    if (!log_is_there) {
      co_return OkStatus();
    }
    const auto* const success = std::get_if<domain::Succeeded>(&held.outcome);
    if (success != nullptr && task.state == domain::TaskState::kLeased) {
      co_return co_await TakeSuccess(task, success->output, held);
    }
    co_return co_await End(task, EndingOf(held), FailureOf(held));
  }

 private:
  static sched::Ending EndingOf(const HeldAttempt& held) {
    return std::holds_alternative<domain::Stopped>(held.outcome) ? sched::Ending::kReturned
                                                                 : sched::Ending::kFailed;
  }

  static std::optional<domain::Failure> FailureOf(const HeldAttempt& held) {
    const auto* const failure = std::get_if<domain::Failure>(&held.outcome);
    return failure == nullptr ? std::nullopt : std::optional(*failure);
  }

  boost::asio::awaitable<Status> TakeSuccess(HeldTask task, BlobId output,
                                             const HeldAttempt& held) {
    const Clock::Steady now = farm_.parts.clock.Now();
    if (const auto known = farm_.whole_trees.Find(output, now)) {
      Add(std::move(task), output, known->bytes, held);
      co_return OkStatus();
    }
    const Result<TreeCheck> check = co_await CheckTree(farm_, output);
    if (check.status().code() == StatusCode::kInvalidArgument) {
      co_return co_await End(task, sched::Ending::kFailed, BadOutput(check.status()));
    }
    TYLLM_CO_TRY(check.status());
    if (!check->missing.empty()) {
      co_return OkStatus();
    }
    const std::int64_t bytes = BytesOf(check->tree);
    farm_.whole_trees.Note(output, {.bytes = bytes, .files = check->tree.entries.size()}, now);
    Add(std::move(task), output, bytes, held);
    co_return OkStatus();
  }

  boost::asio::awaitable<Status> End(HeldTask task, sched::Ending ending,
                                     std::optional<domain::Failure> failure) {
    std::vector<Ended> ended(1, Ended{task, ending, std::move(failure)});
    TYLLM_CO_TRY(co_await EndAttempts(farm_, std::move(ended)));
    reply_.acknowledged.push_back(task.id.task);
    co_return OkStatus();
  }

  void Add(HeldTask task, const BlobId& output, std::int64_t bytes, const HeldAttempt& held) {
    const std::optional<Sha256> key = KeyOf(task.id);
    successes_.push_back({.task = std::move(task),
                          .output = output,
                          .bytes = bytes,
                          .stages = held.stages,
                          .used = held.used,
                          .key = key});
  }

  // Not when another version went on with what one began.
  std::optional<Sha256> KeyOf(const domain::AttemptId& id) const {
    const Attempts::Live* const live = farm_.attempts.Find(id);
    return live != nullptr && live->toolchain_version == request_.capabilities.toolchain_version
               ? live->key
               : std::nullopt;
  }

  Farm& farm_;
  const SyncRequest& request_;
  SyncReply& reply_;
  std::vector<Success>& successes_;
};

void CountFenced(Farm& farm) {
  farm.parts.metrics.Count(telemetry::Metric::kFencedCalls, {"WorkerService.Sync"});
}

void Fence(Farm& farm, const HeldAttempt& held, SyncReply& reply) {
  CountFenced(farm);
  reply.stop.push_back(held.id.task);
  if (HasEnded(held)) {
    reply.acknowledged.push_back(held.id.task);  // too late to matter
  }
}

void NoteRun(Farm& farm, const Success& success) {
  const Attempts::Live* const live = farm.attempts.Find(success.task.id);
  if (live != nullptr && live->size) {
    const std::int64_t ran = farm.parts.clock.UnixMillis() - success.task.started_unix_ms;
    farm.history.Note(*live->size,
                      {.run_ms = std::max<std::int64_t>(0, ran), .used = success.used});
  }
}

void CountSuccess(telemetry::Metrics& metrics, const Success& success) {
  using telemetry::Metric;
  metrics.Count(Metric::kAttemptsEnded, {"succeeded"});
  for (const domain::StageTime& time : success.stages) {
    metrics.Observe(
        Metric::kStageSeconds,
        {domain::kTaskKindNames.Name(success.task.kind), domain::KnownStage(time.stage)},
        static_cast<double>(std::max<std::int64_t>(0, time.ms)) / 1000);
  }
}

void Renew(Farm& farm, const HeldAttempt& held, const HeldTask& task, SyncReply& reply) {
  farm.attempts.Follow(task, farm.parts.clock);
  if (farm.attempts.Heard(held.id, held.progress, farm.parts.clock.Now())) {
    farm.signals.Notify(Topic::Of(task.job));
  }
  if (task.state == domain::TaskState::kCancelling) {
    reply.stop.push_back(held.id.task);
  }
}

}  // namespace

boost::asio::awaitable<Result<std::vector<Success>>> TakeReports(Farm& farm,
                                                                 const SyncRequest& request,
                                                                 SyncReply& reply) {
  std::optional<Standing> standing = KnownStanding(farm, request);
  if (!standing) {
    TYLLM_CO_ASSIGN(standing, co_await Settle(farm, request));
  }
  for (std::size_t i = 0; i < request.held.size(); ++i) {
    if (standing->named[i]) {
      Renew(farm, request.held[i], *standing->named[i], reply);
    } else {
      Fence(farm, request.held[i], reply);
    }
  }
  // What follows may wait for the disk.
  std::vector<Success> successes;
  Outcomes outcomes(farm, request, reply, successes);
  bool ended = false;
  for (std::size_t i = 0; i < request.held.size(); ++i) {
    const HeldAttempt& held = request.held[i];
    const std::optional<HeldTask>& task = standing->named[i];
    if (!task) {
      continue;
    }
    TYLLM_CO_TRY(co_await KeepCheckpoint(farm, held));
    if (HasEnded(held)) {
      ended = true;
      TYLLM_CO_TRY(co_await outcomes.Take(held, *task));
    }
  }
  if (ended && successes.empty()) {
    farm.signals.Notify(Topic::Results());
  }
  co_return successes;
}

Status RecordSuccesses(store::Queue& queue, const SyncRequest& request,
                       std::vector<Success>& successes, std::int64_t now) {
  for (Success& success : successes) {
    const store::Completed made{success.output, success.bytes,
                                request.capabilities.toolchain_version, success.key, success.used};
    TYLLM_ASSIGN(success.recorded, queue.Complete(success.task.id, made, now));
  }
  return OkStatus();
}

void AcknowledgeSuccesses(Farm& farm, const std::vector<Success>& successes, SyncReply& reply) {
  for (const Success& success : successes) {
    if (success.recorded) {
      CountSuccess(farm.parts.metrics, success);
      NoteRun(farm, success);
      farm.fleet.NoteSuccess(success.task.holder.worker);
    } else {
      CountFenced(farm);
    }
    AttemptIsOver(farm, success.task);
    reply.acknowledged.push_back(success.task.id.task);
  }
}

}  // namespace tyllm::server::core
