// SPDX-License-Identifier: Apache-2.0
#include "server/sched/retry.h"

#include <algorithm>
#include <set>

#include "server/sched/failure_class.h"
#include "server/sched/noticed_failure.h"

namespace tyllm::server::sched {

namespace {

using domain::Failure;

constexpr int kLossesAWorker = 3;
constexpr int kFailuresAWorker = 3;

std::string GiB(std::int64_t bytes) {
  const std::int64_t tenths = bytes * 10 / (1LL << 30);
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " GiB";
}

// Doubles with every attempt that counted, and up to a quarter more: some number that is the same
// for the same attempt.
Milliseconds Wait(const EndedAttempt& ended, const ClassRule& rule, const Policy& policy) {
  Milliseconds wait = rule.first_wait;
  for (int i = 0; i < ended.spent.failures && wait < policy.longest_backoff; ++i) {
    wait *= 2;
  }
  wait = std::min(wait, policy.longest_backoff);
  const auto luck = DigestOf(ended.id.ToString()).bytes[0];
  return wait + wait * luck / (4 * 256);
}

Verdict GiveUp(Verdict verdict, const std::string& why) {
  verdict.again = false;
  verdict.delay = {};
  verdict.failure.message += "; given up: " + why;
  verdict.failure.retryable = false;
  return verdict;
}

std::string Named(const std::set<std::string>& workers) {
  std::string text;
  for (const std::string& worker : workers) {
    text += (text.empty() ? "" : ", ") + worker;
  }
  return text;
}

Verdict JudgeLoss(const EndedAttempt& ended, Verdict verdict, const Policy& policy) {
  std::set<std::string> workers(ended.lost_by.begin(), ended.lost_by.end());
  if (ended.advanced) {
    verdict.spent.losses = 0;
    workers.clear();
  }
  ++verdict.spent.losses;
  workers.insert(ended.worker);
  const bool poison = static_cast<int>(workers.size()) >= policy.losses ||
                      verdict.spent.losses >= kLossesAWorker * policy.losses;
  if (!poison) {
    return verdict;
  }
  verdict.failure.action = "read the logs of those attempts (`tyllm-client logs " +
                           ended.id.task.ToString() +
                           " --attempt N`) and of those workers before submitting it again";
  const std::string why = std::to_string(verdict.spent.losses) +
                          " attempts were lost, on workers " + Named(workers) +
                          ": the task may be what brings them down";
  return GiveUp(std::move(verdict), why);
}

Verdict JudgeGpuMemory(const EndedAttempt& ended, Verdict verdict) {
  verdict.needs_gpu_memory = ended.gpu_memory + 1;
  verdict.failure.retryable = true;
  if (ended.largest_gpu_memory > ended.gpu_memory) {
    verdict.failure.action = "nothing: it is tried on a GPU with more memory";
    return verdict;
  }
  verdict.failure.blame = domain::Blame::kWorker;
  verdict.failure.action =
      "add a worker with a larger GPU, or ask for less (fewer or shorter samples)";
  return GiveUp(std::move(verdict), "no worker has a GPU with more than " + GiB(ended.gpu_memory));
}

// One broken machine counts once, however often it had the task.
int Repeats(const std::vector<std::string>& spoilt_by) {
  const std::set<std::string> different(spoilt_by.begin(), spoilt_by.end());
  return static_cast<int>(spoilt_by.size() - different.size());
}

std::string WhyGivenUp(const Verdict& verdict, const std::vector<std::string>& spoilt_by) {
  std::string why = std::to_string(verdict.spent.failures) + " attempts failed";
  if (!spoilt_by.empty()) {
    why += ", " + std::to_string(spoilt_by.size()) + " of them by the machine: worker " +
           Named({spoilt_by.begin(), spoilt_by.end()});
  }
  return why;
}

Verdict JudgeFailure(const EndedAttempt& ended, const ClassRule& rule, Verdict verdict,
                     const Policy& policy) {
  std::vector<std::string> spoilt_by = ended.spoilt_by;
  if (rule.failure_class == FailureClass::kMachine) {
    spoilt_by.push_back(ended.worker);
  }
  ++verdict.spent.failures;
  verdict.counted_failures = verdict.spent.failures - Repeats(spoilt_by);
  if (!rule.again) {
    verdict.again = false;
    verdict.delay = {};
    verdict.failure.retryable = false;
    return verdict;
  }
  if (verdict.counted_failures >= policy.failures ||
      verdict.spent.failures >= kFailuresAWorker * policy.failures) {
    const std::string why = WhyGivenUp(verdict, spoilt_by);
    return GiveUp(std::move(verdict), why);
  }
  verdict.delay = Wait(ended, rule, policy);
  return verdict;
}

}  // namespace

Verdict Judge(const EndedAttempt& ended, const Policy& policy) {
  TYLLM_CHECK(ended.ending != Ending::kSucceeded && ended.ending != Ending::kStopped);
  Verdict verdict{.again = true, .failure = DescribeFailure(ended, policy), .spent = ended.spent};
  FailureClass failure_class = ClassOf(ended.ending, verdict.failure);
  if (failure_class == FailureClass::kGpuMemory && ended.gpu_memory == 0) {
    failure_class = FailureClass::kMachine;  // what is larger than unknown is unknown
  }
  const ClassRule& rule = RuleOf(failure_class);
  switch (rule.budget) {
    case Budget::kLosses:
      return JudgeLoss(ended, std::move(verdict), policy);
    case Budget::kFailures:
      return JudgeFailure(ended, rule, std::move(verdict), policy);
    case Budget::kNone:
      break;
  }
  return failure_class == FailureClass::kGpuMemory ? JudgeGpuMemory(ended, std::move(verdict))
                                                   : verdict;
}

}  // namespace tyllm::server::sched
