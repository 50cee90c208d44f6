// SPDX-License-Identifier: Apache-2.0
#include "server/sched/past_attempts.h"

#include <gtest/gtest.h>

namespace tyllm::server::sched {
namespace {

using domain::AttemptRecord;
using domain::Blame;
using domain::Ending;
using domain::Failure;
using Names = std::vector<std::string>;

AttemptRecord On(const char* worker, Ending ending, std::optional<Failure> failure = {}) {
  AttemptRecord attempt;
  attempt.worker = worker;
  attempt.ending = ending;
  attempt.failure = std::move(failure);
  return attempt;
}

AttemptRecord Failed(const char* worker, Blame blame, bool retryable = true) {
  return On(worker, Ending::kFailed, Failure{.blame = blame, .retryable = retryable});
}

TEST(SpoiltBy, OnlyWhatTheMachineFailed) {
  AttemptRecord gpu = Failed("gpu", Blame::kWorker);
  gpu.failure->out_of_memory = domain::MemoryKind::kGpu;
  AttemptRecord memory = Failed("memory", Blame::kWorker);
  memory.failure->out_of_memory = domain::MemoryKind::kHost;
  const std::vector<AttemptRecord> attempts = {
      Failed("bad", Blame::kWorker),
      Failed("crash", Blame::kToolchain),
      Failed("farm", Blame::kFarm),
      gpu,
      memory,
      On("lost", Ending::kLeaseLost, Failure{.blame = Blame::kWorker, .retryable = true}),
      On("stuck", Ending::kStalled),
      On("back", Ending::kReturned, Failure{.blame = Blame::kWorker, .retryable = true}),
      On("unknown", Ending::kFailed),
      Failed("bad", Blame::kWorker),
      AttemptRecord{},
  };
  EXPECT_EQ(SpoiltBy(attempts), (Names{"bad", "memory", "bad"}));
  EXPECT_EQ(SpoiltBy({}), Names{});
}

TEST(LostBy, TheLastOnesOfThoseThatWereLost) {
  const std::vector<AttemptRecord> attempts = {
      On("a", Ending::kLeaseLost), Failed("x", Blame::kWorker), On("b", Ending::kLeaseLost),
      On("c", Ending::kLeaseLost), On("d", Ending::kReturned)};
  EXPECT_EQ(LostBy(attempts, 3), (Names{"a", "b", "c"}));
  EXPECT_EQ(LostBy(attempts, 2), (Names{"b", "c"}));
  EXPECT_EQ(LostBy(attempts, 0), Names{});
  EXPECT_EQ(LostBy(attempts, 9), (Names{"a", "b", "c"}));
}

}  // namespace
}  // namespace tyllm::server::sched
