// SPDX-License-Identifier: Apache-2.0
#include "tests/server/store/queue_contract.h"

// What every queue promises of jobs that are given up unless they begin in time.
namespace tyllm::server::store {
namespace {

using domain::JobKind;

class StartLimits : public EveryQueue {
 protected:
  /// To begin within 500 ms of `now`.
  JobId Add(const std::string& request, JobKind kind = JobKind::kConvert,
            const std::function<void(NewJob&)>& shape = {}, std::int64_t now = 1000) {
    NewJob job = SampleJob(request, kind);
    job.spec.start_within_ms = 500;
    if (shape) {
      shape(job);
    }
    job.plan = domain::PlanJob(job.spec);
    return Enqueue(job, now);
  }

  static void Share(NewJob& job) { job.spec.no_cache = false; }

  std::vector<JobId> Late(std::int64_t now, std::int64_t created_from = 0) {
    return *queue_->Unstarted(now, created_from, 9);
  }

  bool GiveUp(JobId job, std::int64_t now) {
    const auto ended = queue_->GiveUp(job, SampleFailure("NOT_STARTED"), now);
    EXPECT_TRUE(ended.ok()) << ended.status().ToString();
    return ended.ok() && *ended;
  }
};

TEST_P(StartLimits, AJobThatHasNotBegunInTimeIsFoundAndEnds) {
  Enqueue(SampleJob("without a limit", JobKind::kConvert));
  const JobId job = Add("a", JobKind::kCompile);
  const JobId later = Add("b", JobKind::kConvert, {}, 1200);
  EXPECT_EQ(queue_->GetJob(job)->start_by_unix_ms, 1500);
  EXPECT_EQ(Late(1499), std::vector<JobId>{});
  EXPECT_EQ(Late(1500), std::vector<JobId>{job});
  EXPECT_EQ(Late(1700), (std::vector<JobId>{job, later}));
  EXPECT_EQ(Late(1700, 1001), std::vector<JobId>{later});
  EXPECT_EQ(*queue_->Unstarted(1700, 0, 1), std::vector<JobId>{job});
  EXPECT_FALSE(GiveUp(job, 1499)) << "it has time";
  EXPECT_TRUE(GiveUp(job, 1500));
  EXPECT_EQ(Show(job),
            "compile.die0 failed t2, compile.die1 cancelled t3, assemble cancelled t4; failed");
  const domain::JobView view = *queue_->GetJob(job);
  EXPECT_EQ(view.failure->reason, "NOT_STARTED");
  EXPECT_EQ(view.ended_unix_ms, 1500);
  EXPECT_EQ(view.start_by_unix_ms, 0);
  const auto events = *queue_->EventsAfter(job, view.last_event - 1, 9);
  EXPECT_EQ(events.back().job_state, domain::JobState::kFailed);
  EXPECT_FALSE(GiveUp(job, 1600)) << "once";
  EXPECT_EQ(Late(1600), std::vector<JobId>{});
  EXPECT_EQ(queue_->GiveUp({99}, SampleFailure("NOT_STARTED"), 1).status().code(),
            StatusCode::kNotFound);
  ASSERT_TRUE(queue_->Commit().ok());
  const std::vector<EndedJob> ended = {
      {JobKind::kCompile, domain::JobState::kFailed, SampleFailure("").blame}};
  EXPECT_EQ(queue_->TakeEnded(), ended);
  ASSERT_TRUE(queue_->Begin().ok());
}

TEST_P(StartLimits, OneThatHasBegunIsNotGivenUpWhateverBecomesOfIt) {
  const JobId job = Add("a");
  const AttemptId attempt = Start({1}, {"w", "s"}, 1400);
  EXPECT_EQ(queue_->GetJob(job)->start_by_unix_ms, 0);
  EXPECT_FALSE(GiveUp(job, 9000));
  ASSERT_TRUE(queue_->EndAttempt(attempt, sched::Ending::kLeaseLost, Again(), 2000).ok());
  EXPECT_EQ(Show(job), "convert queued t1; queued");
  EXPECT_FALSE(GiveUp(job, 9000));
  EXPECT_EQ(Late(9000), std::vector<JobId>{});
}

TEST_P(StartLimits, OneWhoseResultIsMadeForOthersCountsAsBegun) {
  Add("a", JobKind::kConvert, Share);
  const JobId second = Add("b", JobKind::kConvert, Share);
  Start({1}, {"w", "s"}, 1400);
  EXPECT_EQ(Late(1500), std::vector<JobId>{second});
  EXPECT_FALSE(GiveUp(second, 1500));
  EXPECT_EQ(Show(second), "convert queued t2; queued");
  EXPECT_EQ(Late(1500), std::vector<JobId>{}) << "nobody asks again";
  // And when the other job goes the run is this one's.
  ASSERT_TRUE(queue_->CancelJob({1}, 2000).ok());
  EXPECT_EQ(Show(second), "convert running t1; running");
}

TEST_P(StartLimits, OneWhoseResultIsThereCountsAsBegun) {
  Add("a", JobKind::kConvert, Share);
  const JobId second = Add("b", JobKind::kConvert, Share);
  const Sha256 key = *queue_->GetTask({1})->key;
  ASSERT_TRUE(queue_->Succeed(Start({1}, {"w", "s"}, 1100), SampleTree("out"), key, 1400).ok());
  EXPECT_FALSE(GiveUp(second, 1500));
  ASSERT_TRUE(queue_->SucceedFromCache(queue_->CacheHits({.limit = 1})->front(), 1600).ok());
  EXPECT_EQ(Show(second), "convert succeeded t2; succeeded");
}

TEST_P(StartLimits, WhatIsKeptOfAnotherJobIsNoBeginning) {
  const JobId job = Add("b", JobKind::kCompile, [&](NewJob& next) {
    next.spec.compile.dies = 1;
    next.kept["compile.die0"] = {SampleTree("die"), DigestOf("key"), TaskId{7}};
  });
  EXPECT_EQ(Show(job), "compile.die0 succeeded t1, assemble queued t2; running");
  ASSERT_TRUE(queue_->NoteEvent({2}, "something", 1200).ok());
  EXPECT_EQ(Late(1500), std::vector<JobId>{job});
  EXPECT_TRUE(GiveUp(job, 1500));
  EXPECT_EQ(Show(job), "compile.die0 succeeded t1, assemble failed t2; failed");
}

TEST_P(StartLimits, ACancelledJobHasNoneAndOneThatEndsAtOnceNever) {
  const JobId cancelled = Add("a");
  ASSERT_TRUE(queue_->CancelJob(cancelled, 1200).ok());
  const JobId kept = Add("b", JobKind::kConvert, [](NewJob& next) {
    next.kept["convert"] = {SampleTree("out"), DigestOf("key"), TaskId{7}};
  });
  EXPECT_EQ(Show(kept), "convert succeeded t2; succeeded");
  EXPECT_EQ(Late(9000), std::vector<JobId>{});
}

TEST_P(StartLimits, AClockThatWasAheadTakesNothingFromThem) {
  const JobId job = Add("a", JobKind::kConvert, {}, 50'000);
  const JobId early = Add("b", JobKind::kConvert, {}, 900);
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(queue_->CorrectTimes(1000).ok());
    EXPECT_EQ(queue_->GetJob(job)->start_by_unix_ms, 1500);
    EXPECT_EQ(queue_->GetJob(early)->start_by_unix_ms, 1400);
  }
}

INSTANTIATE_TEST_SUITE_P(Queues, StartLimits, ::testing::Values("memory", "sqlite"), QueueName);

}  // namespace
}  // namespace tyllm::server::store
