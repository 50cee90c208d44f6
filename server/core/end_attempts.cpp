// SPDX-License-Identifier: Apache-2.0
#include "server/core/end_attempts.h"

#include <utility>

#include "server/sched/retry.h"

namespace tyllm::server::core {

namespace {

sched::Verdict JudgeOne(const Farm& farm, const Ended& ended) {
  const Attempts::Live* const live = farm.attempts.Find(ended.task.id);
  return sched::Judge({.number = ended.task.id.attempt,
                       .worker = ended.task.holder.worker,
                       .stage = live == nullptr ? "" : live->progress.stage,
                       .ending = ended.ending,
                       .reported = ended.reported},
                      ended.task.spent, farm.parts.limits.policy);
}

// It may be what was finished that the toolchain trips over: the next attempt begins anew.
bool IsToolchains(const std::optional<domain::Failure>& failure) {
  return failure && failure->blame == domain::Blame::kToolchain;
}

Status Record(store::Queue& queue, const Ended& ended, const std::optional<sched::Verdict>& verdict,
              std::int64_t now) {
  if (IsToolchains(ended.reported)) {
    TYLLM_TRY(queue.ForgetCheckpoint(ended.task.id.task));
  }
  const Status status = verdict ? queue.EndAttempt(ended.task.id, ended.ending, *verdict, now)
                                : queue.EndCancelled(ended.task.id, now);
  return status.code() == StatusCode::kAborted ? OkStatus() : status;
}

void Count(Counters& counters, sched::Ending ending) {
  switch (ending) {
    case sched::Ending::kFailed:
      ++counters.attempts_failed;
      break;
    case sched::Ending::kLeaseLost:
      ++counters.attempts_lease_lost;
      break;
    case sched::Ending::kStalled:
      ++counters.attempts_stalled;
      break;
    case sched::Ending::kDeadline:
      ++counters.attempts_late;
      break;
    case sched::Ending::kSucceeded:
    case sched::Ending::kReturned:
    case sched::Ending::kStopped:
      break;
  }
}

}  // namespace

boost::asio::awaitable<Status> EndAttempts(Farm& farm, std::vector<Ended> ended) {
  if (ended.empty()) {
    co_return OkStatus();
  }
  // Nothing for those that are being cancelled: no verdict is needed.
  std::vector<std::optional<sched::Verdict>> verdicts;
  for (const Ended& one : ended) {
    const bool cancelled = one.task.state == domain::TaskState::kCancelling;
    verdicts.push_back(cancelled ? std::nullopt : std::optional(JudgeOne(farm, one)));
  }
  const std::int64_t now = farm.parts.clock.UnixMillis();
  const Status recorded = co_await farm.parts.store.Run([&](store::Queue& queue) {
    for (std::size_t i = 0; i < ended.size(); ++i) {
      TYLLM_TRY(Record(queue, ended[i], verdicts[i], now));
    }
    return OkStatus();
  });
  TYLLM_CO_TRY(recorded);
  for (const Ended& one : ended) {
    Count(farm.counters, one.ending);
    AttemptIsOver(farm, one.task);
  }
  co_return OkStatus();
}

void AttemptIsOver(Farm& farm, const store::HeldTask& task) {
  farm.attempts.End(task.id);
  farm.signals.Notify(Topic::Of(task.job));
  farm.signals.Notify(Topic::LogOf(task.id.task));
  farm.signals.Notify(Topic::Work());
}

}  // namespace tyllm::server::core
