// SPDX-License-Identifier: Apache-2.0
#include "server/core/cancel_job.h"
#include "tests/server/core/gpu_farm.h"

// What the server concludes from what attempts have used, and found too small.
namespace tyllm::server::core {
namespace {

using domain::PendingReason;
using std::chrono::minutes;

class RightSizing : public GpuFarm {
 protected:
  domain::JobSpec SpecOf(const std::string& name, const std::string& model) {
    domain::JobSpec spec = Spec(JobKind::kConvert);
    spec.name = name;
    spec.model = Upload(model);
    return spec;
  }
};

TEST_F(RightSizing, ALargerGpuThatIsGoneOrCannotTakeTheTaskIsNotWaitedFor) {
  ASSERT_TRUE(Started(Gpu("large", 80 * kGiB)).empty());
  Advance(minutes(5));  // it is not there any more
  SyncRequest other = Gpu("other", 96 * kGiB);
  other.capabilities.kinds = {domain::TaskKind::kEvaluate};
  ASSERT_TRUE(Started(other).empty());
  const JobId job = Submit("r", SpecOf("demo", "a model"))->id;
  const SyncRequest small = Gpu("small", 24 * kGiB);
  const AttemptId first = Started(small).at(0).id;
  End(small, first, OutOfGpuMemory());
  EXPECT_EQ(Get(job).state, JobState::kFailed);
  EXPECT_NE(Get(job).failure->message.find("no worker has a GPU with more than 24.0 GiB"),
            std::string::npos)
      << Get(job).failure->message;
}

TEST_F(RightSizing, WhatAGpuWasTooSmallForIsLeftToALargerOneFromThenOn) {
  limits_.policy.larger_gpu_wait = minutes(1);
  Restart();
  const SyncRequest small = Gpu("small", 24 * kGiB);
  SyncRequest large = Gpu("large", 80 * kGiB);
  const JobId first = Submit("1", SpecOf("big", "a"))->id;
  const AttemptId too_large = Started(small).at(0).id;
  ASSERT_TRUE(Started(Gpu("large", 80 * kGiB, 0)).empty());
  End(small, too_large, OutOfGpuMemory());
  const AttemptId busy = Started(large).at(0).id;
  large.held = {{.id = busy, .progress = {}}};
  EXPECT_EQ(Show(first), "convert running; running");

  // Another model of that name waits for the busy one; of another name it does not.
  const JobId like = Submit("2", SpecOf("big", "b"))->id;
  const JobId unlike = Submit("3", SpecOf("little", "c"))->id;
  const auto given = Started(small);
  ASSERT_EQ(given.size(), 1U);
  EXPECT_EQ(Show(unlike), "convert running; running");
  End(small, given[0].id, domain::Succeeded{Upload("out")});
  EXPECT_TRUE(Started(small).empty()) << "it would be too small again";
  ASSERT_TRUE(Get(like).tasks[0].pending.has_value());
  EXPECT_EQ(Get(like).tasks[0].pending->reason, PendingReason::kBusy);
  EXPECT_NE(Get(like).tasks[0].pending->message.find("wanted a GPU of 24.0 GiB"), std::string::npos)
      << Get(like).tasks[0].pending->message;

  // A server that was started anew knows it, too.
  Restart();
  ASSERT_TRUE(Started(large).empty());
  EXPECT_TRUE(Started(small).empty());
  EXPECT_EQ(Show(like), "convert queued; queued");

  // It was a guess: it is not waited for for ever.
  Advance(minutes(1));
  ASSERT_TRUE(Started(large).empty());
  EXPECT_EQ(Started(small).size(), 1U);
  EXPECT_EQ(Show(like), "convert running; running");
}

TEST_F(RightSizing, WhereNobodyIsLargerAGuessHindersNothing) {
  domain::JobSpec spec = SpecOf("demo", "a model");
  ASSERT_TRUE(Submit("1", spec).ok());
  const SyncRequest small = Gpu("small", 24 * kGiB);
  const AttemptId first = Started(small).at(0).id;
  ASSERT_TRUE(Started(Gpu("large", 80 * kGiB, 0)).empty());
  End(small, first, OutOfGpuMemory());
  ASSERT_TRUE(Await(CancelJob(*farm_, {.job = JobId{1}})).ok());
  Advance(minutes(5));  // the larger one has gone
  ASSERT_TRUE(Submit("2", spec).ok());
  EXPECT_EQ(Started(small).size(), 1U);
}

}  // namespace
}  // namespace tyllm::server::core
