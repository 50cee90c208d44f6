// SPDX-License-Identifier: Apache-2.0
#include "server/sched/failure_class.h"

namespace tyllm::server::sched {

namespace {

consteval bool InOrder() {
  for (std::size_t i = 0; i < kClassRules.size(); ++i) {
    if (static_cast<std::size_t>(kClassRules[i].failure_class) != i) {
      return false;
    }
  }
  return kClassRules.size() == kFailureClassNames.rows().size();
}

static_assert(InOrder(), "a failure class has no rule, or rules are not in the enum's order");

FailureClass ClassOfReport(const domain::Failure& failure) {
  if (failure.out_of_memory == domain::MemoryKind::kGpu) {
    return FailureClass::kGpuMemory;
  }
  if (!failure.retryable) {
    return FailureClass::kPermanent;
  }
  switch (failure.blame) {
    case domain::Blame::kUser:
    case domain::Blame::kModel:
      return FailureClass::kPermanent;
    case domain::Blame::kToolchain:
      return FailureClass::kToolchain;
    case domain::Blame::kWorker:
      return FailureClass::kMachine;
    case domain::Blame::kFarm:
      return FailureClass::kFarm;
  }
  return FailureClass::kPermanent;
}

}  // namespace

FailureClass ClassOf(Ending ending, const domain::Failure& failure) {
  switch (ending) {
    case Ending::kLeaseLost:
      return FailureClass::kLost;
    case Ending::kStalled:
    case Ending::kDeadline:
      return FailureClass::kTooSlow;
    case Ending::kReturned:
      return FailureClass::kReturned;
    case Ending::kFailed:
    case Ending::kSucceeded:
    case Ending::kStopped:
      break;
  }
  return ClassOfReport(failure);
}

}  // namespace tyllm::server::sched
