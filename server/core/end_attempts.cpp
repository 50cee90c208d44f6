// SPDX-License-Identifier: Apache-2.0
#include "server/core/end_attempts.h"

#include <algorithm>
#include <utility>

#include "server/sched/failure_class.h"
#include "server/sched/past_attempts.h"
#include "server/sched/retry.h"

namespace tyllm::server::core {

namespace {

constexpr std::int64_t kLogTail = 2048;

// The last whole lines of the log that the server has.
boost::asio::awaitable<Status> AddLog(Farm& farm, sched::EndedAttempt& ended) {
  TYLLM_CO_ASSIGN(ended.log_bytes, co_await farm.parts.logs.Size(ended.id));
  const std::int64_t from = std::max<std::int64_t>(0, ended.log_bytes - kLogTail);
  TYLLM_CO_ASSIGN(ended.log_tail, co_await farm.parts.logs.Read(ended.id, from, kLogTail));
  const std::size_t line_end = ended.log_tail.find('\n');
  if (from > 0 && line_end != std::string::npos) {
    ended.log_tail.erase(0, line_end + 1);
  }
  co_return OkStatus();
}

// It may be what was finished that the toolchain trips over: the next attempt begins anew.
bool IsToolchains(const std::optional<domain::Failure>& failure) {
  return failure && failure->blame == domain::Blame::kToolchain;
}

// Everything but what the queue knows.
boost::asio::awaitable<sched::EndedAttempt> Describe(Farm& farm, const Ended& ended) {
  sched::EndedAttempt facts;
  facts.id = ended.task.id;
  facts.kind = ended.task.kind;
  facts.worker = ended.task.holder.worker;
  facts.ending = ended.ending;
  facts.reported = ended.reported;
  facts.spent = ended.task.spent;
  if (const Attempts::Live* const live = farm.attempts.Find(ended.task.id)) {
    facts.stage = live->progress.stage;
    facts.advanced = live->advanced;
  }
  const Fleet::Member* const member = farm.fleet.Find(facts.worker);
  if (member != nullptr && member->state != nullptr) {
    facts.gpu_memory = member->state->capabilities.gpu_memory_bytes;
  }
  // A log that cannot be read must not keep the attempt from ending.
  static_cast<void>(co_await AddLog(farm, facts));
  co_return facts;
}

bool IsNew(const Farm& farm) {
  const std::int64_t age = farm.parts.clock.UnixMillis() - farm.started_unix_ms;
  return age < farm.parts.limits.policy.Presence().count();
}

// For whoever asks why it was tried again, or was not.
std::string WhyJudged(const sched::EndedAttempt& facts, const sched::Verdict& verdict,
                      const sched::Policy& policy) {
  std::string text =
      "attempt " + std::to_string(facts.id.attempt) + " on " + facts.worker + ": " +
      std::string(sched::kEndingNames.Name(facts.ending)) + ", " + verdict.failure.reason +
      " (blame: " + std::string(domain::kBlameNames.Name(verdict.failure.blame)) + "); ";
  text += verdict.again ? "again in " + std::to_string(verdict.delay.count() / 1000) + " s"
                        : "not tried again";
  if (verdict.needs_gpu_memory > 0) {
    text += ", on a GPU of at least " + std::to_string(verdict.needs_gpu_memory) + " bytes";
  }
  text += "; " + std::to_string(verdict.spent.failures) + " failures";
  if (verdict.counted_failures > 0) {
    text += " (" + std::to_string(verdict.counted_failures) + " of " +
            std::to_string(policy.failures) + " by different machines or other causes)";
  }
  return text + " and " + std::to_string(verdict.spent.losses) + " losses so far" +
         (facts.advanced ? "; losses are counted anew, its work got further" : "");
}

bool IsOutOfGpuMemory(const sched::EndedAttempt& facts) {
  return facts.reported && facts.reported->out_of_memory == domain::MemoryKind::kGpu;
}

/// Who there is, when attempts end.
struct Present {
  sched::OnlineWorkers online;
  bool all = true;  ///< false: a server that has just started has not heard of everybody
};

// For a task that a GPU was too small for: the largest that it could be given to.
Status FindLargestGpu(store::Queue& queue, const Present& present, sched::EndedAttempt& facts) {
  if (!IsOutOfGpuMemory(facts)) {
    return OkStatus();
  }
  TYLLM_ASSIGN(const sched::LaneKey lane, queue.LaneKeyOf(facts.id.task));
  const auto look = [&](const domain::Capabilities& worker) {
    if (sched::CanTake(worker, lane.needs)) {
      facts.largest_gpu_memory = std::max(facts.largest_gpu_memory, worker.gpu_memory_bytes);
    }
  };
  for (const sched::Online& one : *present.online) {
    look(one.worker->capabilities);
  }
  if (!present.all) {
    TYLLM_ASSIGN(const std::vector<store::WorkerRecord> workers, queue.ListWorkers());
    for (const store::WorkerRecord& worker : workers) {
      look(worker.capabilities);
    }
  }
  return OkStatus();
}

Status Record(store::Queue& queue, const Ended& ended, std::optional<sched::EndedAttempt> facts,
              const Present& present, const sched::Policy& policy, std::int64_t now) {
  if (!facts) {
    return queue.EndCancelled(ended.task.id, now);
  }
  TYLLM_ASSIGN(const std::vector<domain::AttemptRecord> before, queue.Attempts(ended.task.id.task));
  facts->lost_by = sched::LostBy(before, facts->spent.losses);
  facts->spoilt_by = sched::SpoiltBy(before);
  TYLLM_TRY(FindLargestGpu(queue, present, *facts));
  const sched::Verdict verdict = sched::Judge(*facts, policy);
  TYLLM_TRY(queue.EndAttempt(ended.task.id, ended.ending, verdict, now));
  if (IsToolchains(ended.reported)) {
    TYLLM_TRY(queue.ForgetCheckpoint(ended.task.id.task));
  }
  return queue.NoteDecision(ended.task.id.task, WhyJudged(*facts, verdict, policy), now);
}

void Count(telemetry::Metrics& metrics, sched::Ending ending) {
  using telemetry::Metric;
  switch (ending) {
    case sched::Ending::kFailed:
      return metrics.Count(Metric::kAttemptsEnded, {"failed"});
    case sched::Ending::kLeaseLost:
      return metrics.Count(Metric::kAttemptsLost, {"lease_lost"});
    case sched::Ending::kStalled:
      return metrics.Count(Metric::kAttemptsLost, {"stalled"});
    case sched::Ending::kDeadline:
      return metrics.Count(Metric::kAttemptsLost, {"late"});
    case sched::Ending::kSucceeded:
    case sched::Ending::kReturned:
    case sched::Ending::kStopped:
      break;
  }
}

// Tasks like it are left to larger ones from now on.
void NoteTooSmallGpu(Farm& farm, const Ended& ended,
                     const std::optional<sched::EndedAttempt>& facts) {
  const Attempts::Live* const live = farm.attempts.Find(ended.task.id);
  if (facts && IsOutOfGpuMemory(*facts) && facts->gpu_memory > 0 && live != nullptr && live->size) {
    farm.history.Note(*live->size, {.gpu_too_small = facts->gpu_memory});
  }
}

// Of what was reported; of the others the worker's machine is not known to be the cause. One that
// lacks a tool may do everything else well.
void NoteMachineFailure(Farm& farm, const Ended& ended) {
  if (ended.ending == sched::Ending::kFailed && ended.reported &&
      ended.reported->reason != domain::kToolMissingReason &&
      sched::ClassOf(ended.ending, *ended.reported) == sched::FailureClass::kMachine) {
    farm.fleet.NoteMachineFailure(ended.task.holder.worker, ended.task.id.task,
                                  ended.reported->reason, farm.parts.clock.Now(),
                                  farm.parts.limits.policy);
  }
}

}  // namespace

boost::asio::awaitable<Status> EndAttempts(Farm& farm, std::vector<Ended> ended) {
  if (ended.empty()) {
    co_return OkStatus();
  }
  // Nothing for those that are being cancelled: no verdict is needed.
  std::vector<std::optional<sched::EndedAttempt>> facts(ended.size());
  for (std::size_t i = 0; i < ended.size(); ++i) {
    if (ended[i].task.state != domain::TaskState::kCancelling) {
      facts[i] = co_await Describe(farm, ended[i]);
    }
  }
  const sched::Policy& policy = farm.parts.limits.policy;
  const Present present{farm.fleet.OnlineSince(farm.parts.clock.Now() - policy.Presence()),
                        !IsNew(farm)};
  const std::int64_t now = farm.parts.clock.UnixMillis();
  const Status recorded = co_await farm.parts.store.Run([&](store::Queue& queue) {
    for (std::size_t i = 0; i < ended.size(); ++i) {
      const Status status = Record(queue, ended[i], facts[i], present, policy, now);
      if (status.code() != StatusCode::kAborted) {
        TYLLM_TRY(status);
      }
    }
    return OkStatus();
  });
  TYLLM_CO_TRY(recorded);
  for (std::size_t i = 0; i < ended.size(); ++i) {
    Count(farm.parts.metrics, ended[i].ending);
    NoteTooSmallGpu(farm, ended[i], facts[i]);
    if (facts[i]) {
      NoteMachineFailure(farm, ended[i]);
    }
    AttemptIsOver(farm, ended[i].task);
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
