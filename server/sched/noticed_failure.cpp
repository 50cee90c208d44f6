// SPDX-License-Identifier: Apache-2.0
#include "server/sched/noticed_failure.h"

namespace tyllm::server::sched {

namespace {

using domain::Blame;
using domain::Failure;

std::string Duration(Milliseconds time) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time).count();
  return seconds % 60 == 0 && seconds > 0 ? std::to_string(seconds / 60) + " min"
                                          : std::to_string(seconds) + " s";
}

Failure Noticed(Blame blame, const char* reason, std::string message, std::string action) {
  Failure failure;
  failure.blame = blame;
  failure.reason = reason;
  failure.message = std::move(message);
  failure.action = std::move(action);
  failure.retryable = true;
  return failure;
}

// What the server itself noticed, in words.
Failure Describe(const EndedAttempt& ended, const Policy& policy) {
  const Clocks clocks = policy.ClocksOf(ended.kind);
  const std::string who =
      "attempt " + std::to_string(ended.id.attempt) + " on worker " + ended.worker;
  const std::string where = ended.stage.empty() ? "" : " in stage '" + ended.stage + "'";
  const std::string kind(domain::kTaskKindNames.Name(ended.kind));
  switch (ended.ending) {
    case Ending::kLeaseLost:
      return Noticed(Blame::kWorker, "LEASE_LOST",
                     who + " was lost" + where + ": the worker said nothing for " +
                         Duration(clocks.lease + policy.lease_grace) + " or came back without it",
                     "see the worker's own log");
    case Ending::kStalled:
      return Noticed(Blame::kToolchain, "STALLED",
                     who + " made no progress" + where + " for " + Duration(clocks.stall) +
                         "; the worker is alive, the task is stuck",
                     "see its log; if it was only slow, raise attempt.stall_seconds for " + kind);
    case Ending::kDeadline:
      return Noticed(
          Blame::kToolchain, "DEADLINE",
          who + " took longer than " + Duration(clocks.deadline) + where,
          "raise attempt.deadline_seconds for " + kind + " at the server, or ask for less");
    case Ending::kReturned:
      return Noticed(Blame::kWorker, "RETURNED", who + " was handed back by its worker",
                     "nothing: it is tried on another worker");
    case Ending::kFailed:
    case Ending::kSucceeded:
    case Ending::kStopped:
      break;
  }
  return Noticed(Blame::kFarm, "UNKNOWN", who + " ended" + where, "see its log");
}

const char* ActionFor(Blame blame) {
  switch (blame) {
    case Blame::kUser:
      return "change the request and submit it again";
    case Blame::kModel:
      return "look at the model's files: the same would happen again";
    case Blame::kToolchain:
      return "see the log; if it happens again, report it with what `tyllm-client reproduce` "
             "writes";
    case Blame::kWorker:
      return "see to the worker, or let another one try";
    case Blame::kFarm:
      return "see to the server, then `tyllm-client retry`";
  }
  return "see the log";
}

}  // namespace

Failure DescribeFailure(const EndedAttempt& ended, const Policy& policy) {
  Failure failure = ended.reported.value_or(Failure{});
  if (!ended.reported) {
    failure = Describe(ended, policy);
    failure.log_tail = ended.log_tail;
  }
  // What the agent did last is not where a job failed that had not said a stage of its own.
  const bool job_had_begun = failure.exit_code != 0 || failure.signal != 0;
  if (failure.stage.empty() && !job_had_begun) {
    failure.stage = ended.stage;
  }
  failure.log_bytes = failure.log_bytes == 0 ? ended.log_bytes : failure.log_bytes;
  failure.action = failure.action.empty() ? ActionFor(failure.blame) : failure.action;
  failure.worker = ended.worker;
  failure.attempt = ended.id.attempt;
  return failure;
}

}  // namespace tyllm::server::sched
