// SPDX-License-Identifier: Apache-2.0
#include "tests/server/store/queue_contract.h"

// A running action that several jobs want is cancelled only when the last of them is.
namespace tyllm::server::store {
namespace {

using domain::JobKind;

class Joining : public EveryQueue {
 protected:
  JobId Submit(const char* request, JobKind kind = JobKind::kQuantize, bool no_cache = false) {
    NewJob job = SampleJob(request, kind, 1);
    job.spec.no_cache = no_cache;
    job.spec.project = request;
    return Enqueue(job);
  }

  std::vector<JobId> Cancel(JobId job) {
    const auto heirs = queue_->CancelJob(job, 2500);
    EXPECT_TRUE(heirs.ok()) << heirs.status().ToString();
    return *heirs;
  }
};

TEST_P(Joining, OneRunsAndTheOtherWaitsForIt) {
  Submit("a");
  const JobId b = Submit("b");
  Start({1});
  EXPECT_TRUE(AllCandidates(*queue_, 9999).empty());
  EXPECT_EQ(queue_->Pending(b)->front().joined, TaskId{1});
}

TEST_P(Joining, TheAttemptGoesToTheNextWhenItsJobIsCancelled) {
  const JobId a = Submit("a");
  const JobId b = Submit("b", JobKind::kPipeline);
  const AttemptId attempt = Start({1});
  EXPECT_EQ(Cancel(a), std::vector<JobId>{b});
  EXPECT_EQ(Show(a), "quantize cancelled t2; cancelled");
  EXPECT_EQ(Show(b),
            "quantize running t1, convert waiting t3, evaluate waiting t4, compile.die0 waiting "
            "t5, assemble waiting t6; running");
  EXPECT_EQ((*queue_->FindHeld(attempt))->state, domain::TaskState::kLeased);
  EXPECT_EQ((*queue_->FindHeld(attempt))->job, b);
  ASSERT_TRUE(queue_->Succeed(attempt, SampleTree("out"), {}, 3000).ok());
  EXPECT_EQ(queue_->GetJob(b)->tasks[0].output, SampleTree("out"));
  EXPECT_EQ(queue_->GetJob(b)->tasks[1].state, domain::TaskState::kQueued);
  EXPECT_EQ(queue_->GetJob(a)->state, domain::JobState::kCancelled);
}

TEST_P(Joining, ItIsCancelledWithTheLast) {
  const JobId a = Submit("a");
  const JobId b = Submit("b");
  const JobId c = Submit("c");
  const AttemptId attempt = Start({1});
  EXPECT_EQ(Cancel(b), std::vector<JobId>()) << "it only waited";
  EXPECT_EQ(Cancel(a), std::vector<JobId>{c});
  EXPECT_EQ(Cancel(c), std::vector<JobId>());
  EXPECT_EQ((*queue_->FindHeld(attempt))->state, domain::TaskState::kCancelling);
  ASSERT_TRUE(queue_->EndCancelled(attempt, 3000).ok());
  EXPECT_EQ(queue_->GetJob(c)->state, domain::JobState::kCancelled);
}

TEST_P(Joining, WhoeverWantsItDoneAnewNeitherWaitsNorInherits) {
  const JobId a = Submit("a");
  const JobId b = Submit("b", JobKind::kQuantize, true);
  const AttemptId attempt = Start({1});
  EXPECT_EQ(AllCandidates(*queue_, 9999).size(), 1U);
  EXPECT_EQ(Cancel(a), std::vector<JobId>());
  EXPECT_EQ((*queue_->FindHeld(attempt))->state, domain::TaskState::kCancelling);
  EXPECT_EQ(Show(b), "quantize queued t2; queued");
}

TEST_P(Joining, TheProjectThatHasItInTheEndPays) {
  const JobId a = Submit("a");
  Submit("b");
  ASSERT_TRUE(queue_->StartSession({"gpu1", "s1"}, {.device = "cuda"}, 1500).ok());
  const AttemptId attempt = Start({1});
  Cancel(a);
  ASSERT_TRUE(queue_->Succeed(attempt, SampleTree("out"), {}, 7000).ok());
  EXPECT_DOUBLE_EQ(queue_->GetProject("a")->total_seconds, 0);
  EXPECT_DOUBLE_EQ(queue_->GetProject("b")->total_seconds, 5);
}

TEST_P(Joining, ALaneOfTasksThatWaitForOthersHasNothingToGive) {
  Submit("a");
  Submit("b");
  EXPECT_EQ(queue_->Lanes(9999)->size(), 2U);
  Start({1});
  EXPECT_TRUE(queue_->Lanes(9999)->empty());
}

TEST_P(Joining, OfManyThatWaitInALaneOneIsLookedAt) {
  const JobId a = Submit("a");
  NewJob more = SampleJob("a2", JobKind::kQuantize, 1);
  more.spec.no_cache = false;
  more.spec.project = "a";
  for (int i = 0; i < 5; ++i) {
    more.request_id = "more" + std::to_string(i);
    Enqueue(more);
  }
  Submit("b");
  EXPECT_EQ(AllCandidates(*queue_, 9999).size(), 2U) << "one of each lane";
  Cancel(a);
  EXPECT_EQ(AllCandidates(*queue_, 9999).size(), 2U) << "the next takes its place";
  const AttemptId attempt = Start({2});
  EXPECT_TRUE(AllCandidates(*queue_, 9999).empty());
  ASSERT_TRUE(queue_->EndAttempt(attempt, sched::Ending::kFailed, GivenUp(), 3000).ok());
  EXPECT_EQ(AllCandidates(*queue_, 9999).size(), 2U) << "it may be another's fault";
}

TEST_P(Joining, AResultIsHandedDownFromOneToTheNext) {
  for (const char* const request : {"a", "b"}) {
    Submit(request);
  }
  NewJob more = SampleJob("a2", JobKind::kQuantize, 1);
  more.spec.no_cache = false;
  more.spec.project = "b";
  Enqueue(more);
  const AttemptId attempt = Start({1});
  const auto lease = queue_->GetLease(attempt);
  const Sha256 key = domain::ActionKey(lease->spec, lease->inputs, "1.0");
  ASSERT_TRUE(queue_->Succeed(attempt, SampleTree("out"), key, 3000).ok());
  for (const std::int64_t next : {2, 3}) {
    const auto hits = queue_->CacheHits({.limit = 9});
    ASSERT_EQ(hits->size(), 1U);
    EXPECT_EQ(hits->front().task, TaskId{next});
    ASSERT_TRUE(queue_->SucceedFromCache(hits->front(), 4000).ok());
  }
  EXPECT_TRUE(queue_->CacheHits({.limit = 9})->empty());
}

INSTANTIATE_TEST_SUITE_P(Queues, Joining, ::testing::Values("sqlite", "memory"), QueueName);

}  // namespace
}  // namespace tyllm::server::store
