// SPDX-License-Identifier: Apache-2.0
#include "server/sched/retry.h"

#include <algorithm>

namespace tyllm::server::sched {

namespace {

using domain::Blame;
using domain::Failure;

std::string Duration(Milliseconds time) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time).count();
  return seconds % 60 == 0 && seconds > 0 ? std::to_string(seconds / 60) + " min"
                                          : std::to_string(seconds) + " s";
}

Failure Described(const EndedAttempt& ended, Blame blame, std::string reason, std::string message) {
  return {.blame = blame,
          .reason = std::move(reason),
          .message = std::move(message),
          .stage = ended.stage,
          .retryable = true,
          .log_tail = {}};
}

// What the server itself noticed, in words.
Failure FailureOf(const EndedAttempt& ended, const Policy& policy) {
  const std::string who = "attempt " + std::to_string(ended.number) + " on worker " + ended.worker;
  const std::string where = ended.stage.empty() ? "" : " in stage '" + ended.stage + "'";
  switch (ended.ending) {
    case Ending::kLeaseLost:
      return Described(ended, Blame::kWorker, "LEASE_LOST",
                       who + " was lost" + where + ": the worker said nothing for " +
                           Duration(policy.lease + policy.lease_grace) +
                           " or came back without it; see the worker's own log");
    case Ending::kStalled:
      return Described(ended, Blame::kToolchain, "STALLED",
                       who + " made no progress" + where + " for " + Duration(policy.stall) +
                           "; the worker is alive, the task is stuck");
    case Ending::kDeadline:
      return Described(ended, Blame::kToolchain, "DEADLINE",
                       who + " took longer than " + Duration(policy.deadline) + where +
                           "; raise the server's attempt deadline or ask for less");
    case Ending::kReturned:
      return Described(ended, Blame::kWorker, "RETURNED", who + " was handed back by its worker");
    case Ending::kFailed:
    case Ending::kSucceeded:
    case Ending::kStopped:
      break;
  }
  return ended.reported.value_or(Described(ended, Blame::kFarm, "UNKNOWN", who + " ended"));
}

Milliseconds Backoff(int failures_before, const Policy& policy) {
  Milliseconds delay = policy.first_backoff;
  for (int i = 0; i < failures_before && delay < policy.longest_backoff; ++i) {
    delay *= 2;
  }
  return std::min(delay, policy.longest_backoff);
}

// Enough is enough: the failure that the task ends with.
Verdict GiveUp(Failure failure, int times, const std::string& what) {
  failure.message += "; given up after " + std::to_string(times) + " " + what;
  failure.retryable = false;
  return {.again = false, .delay = {}, .failure = std::move(failure)};
}

Verdict JudgeFailure(Failure failure, const Spent& spent, const Policy& policy) {
  if (!failure.retryable) {
    return {.again = false, .delay = {}, .failure = std::move(failure)};
  }
  if (spent.failures + 1 >= policy.failures) {
    return GiveUp(std::move(failure), spent.failures + 1, "failed attempts");
  }
  return {.again = true, .delay = Backoff(spent.failures, policy), .failure = std::move(failure)};
}

}  // namespace

Verdict Judge(const EndedAttempt& ended, const Spent& spent, const Policy& policy) {
  Failure failure = FailureOf(ended, policy);
  switch (ended.ending) {
    case Ending::kLeaseLost:
      if (spent.losses + 1 >= policy.losses) {
        return GiveUp(std::move(failure), spent.losses + 1,
                      "lost attempts: the task may be what brings workers down");
      }
      return {.again = true, .delay = {}, .failure = std::move(failure)};
    case Ending::kReturned:
      return {.again = true, .delay = {}, .failure = std::move(failure)};
    case Ending::kFailed:
    case Ending::kStalled:
    case Ending::kDeadline:
      return JudgeFailure(std::move(failure), spent, policy);
    case Ending::kSucceeded:
    case Ending::kStopped:
      break;
  }
  CheckFailed("these endings need no verdict", std::source_location::current());
}

}  // namespace tyllm::server::sched
