// SPDX-License-Identifier: Apache-2.0
#include "tests/server/store/queue_contract.h"

namespace tyllm::server::store {
namespace {

using domain::JobKind;

/// Results of conversions of some models.
class MadeResults : public EveryQueue {
 protected:
  // A job that may use the cache, with one task.
  JobId Add(const std::string& model) {
    NewJob job = SampleJob(model + std::to_string(++requests_), JobKind::kConvert);
    job.spec.no_cache = false;
    job.spec.model = SampleTree(model);
    job.plan = domain::PlanJob(job.spec);
    return Enqueue(job);
  }

  TaskId TaskOf(JobId job) { return queue_->GetJob(job)->tasks.at(0).id; }

  Sha256 KeyOf(JobId job) { return *queue_->GetTask(TaskOf(job))->key; }

  // The job of a result that `worker` had made by then.
  JobId Make(const std::string& model, const std::string& worker, std::int64_t ended_ms) {
    domain::Capabilities capabilities;
    capabilities.toolchain_version = worker == "old" ? "1.0" : "2.0";
    EXPECT_TRUE(queue_->StartSession({worker, "s"}, capabilities, 1).ok());
    const JobId job = Add(model);
    const AttemptId attempt = Start(TaskOf(job), {worker, "s"}, ended_ms - 10);
    EXPECT_TRUE(queue_->Succeed(attempt, SampleTree("of " + model), KeyOf(job), ended_ms).ok());
    return job;
  }

  // What is forgotten, in pages of two: "results unfinished unknown".
  std::string Forget(const domain::ResultSelection& which, bool forget = true) {
    ResultsLookedAt all;
    std::int64_t after = 0;
    while (true) {
      const auto page = queue_->LookAtResults(which, after, 2, forget);
      EXPECT_TRUE(page.ok()) << page.status().ToString();
      all.fit += page->fit;
      all.unknown += page->unknown;
      if (!page->last) {
        break;
      }
      after = *page->last;
    }
    const auto unfinished = queue_->LookAtUnfinished(which, forget);
    EXPECT_TRUE(unfinished.ok()) << unfinished.status().ToString();
    return std::to_string(all.fit) + " " + std::to_string(*unfinished) + " " +
           std::to_string(all.unknown);
  }

  bool IsThere(JobId job) { return queue_->FindResult(KeyOf(job))->has_value(); }

  int requests_ = 0;
};

TEST_P(MadeResults, AreForgottenByWorkerToolchainAndTime) {
  const JobId a = Make("a", "old", 1000);
  const JobId b = Make("b", "new", 2000);
  const JobId c = Make("c", "new", 3000);
  EXPECT_EQ(Forget({.worker = "other"}), "0 0 0");
  EXPECT_EQ(Forget({.worker = "new", .toolchain_version = "1.0"}), "0 0 0");
  EXPECT_EQ(Forget({.worker = "new"}, false), "2 0 0") << "only counted";
  EXPECT_EQ(Forget({.worker = "new", .made_from_unix_ms = 2001}), "1 0 0");
  EXPECT_TRUE(IsThere(a));
  EXPECT_TRUE(IsThere(b));
  EXPECT_FALSE(IsThere(c));
  EXPECT_EQ(Forget({.made_before_unix_ms = 1000}), "0 0 0") << "what was made then stays";
  EXPECT_EQ(Forget({.toolchain_version = "1.0"}), "1 0 0");
  EXPECT_FALSE(IsThere(a));
  EXPECT_TRUE(IsThere(b));
}

TEST_P(MadeResults, OfAJobAreThoseThatItTookToo) {
  const JobId made = Make("a", "new", 1000);
  Make("b", "new", 1000);
  const JobId took = Add("a");
  const auto hits = queue_->CacheHits({.limit = 9});
  ASSERT_EQ(hits->size(), 1U);
  ASSERT_TRUE(queue_->SucceedFromCache(hits->front(), 2000).ok());
  EXPECT_EQ(Forget({.job = took}, false), "1 0 0");
  EXPECT_EQ(Forget({.job = took, .task = TaskOf(made)}, false), "1 0 0");
  EXPECT_EQ(Forget({.task = TaskOf(took)}), "1 0 0");
  EXPECT_FALSE(IsThere(made));
  EXPECT_EQ(Forget({.job = made}), "0 0 0");
  const JobId again = Add("a");
  EXPECT_TRUE(queue_->CacheHits({.limit = 9})->empty());
  EXPECT_EQ(AllCandidates(*queue_, 5000).size(), 1U) << Show(again) << ": it runs";
}

TEST_P(MadeResults, ThatQueuedTasksWaitToUseAreForgottenForThem) {
  Make("a", "new", 1000);
  Add("a");
  EXPECT_TRUE(AllCandidates(*queue_, 5000).empty()) << "it need not run";
  EXPECT_EQ(Forget({.worker = "new"}), "1 0 0");
  EXPECT_EQ(AllCandidates(*queue_, 5000).size(), 1U) << "it does now";
  EXPECT_TRUE(queue_->Commit().ok());
  EXPECT_TRUE(queue_->Begin().ok());
}

TEST_P(MadeResults, OfDeletedJobsAreOfNobodyKnown) {
  const JobId job = Make("a", "new", 1000);
  const Sha256 key = KeyOf(job);
  ASSERT_TRUE(queue_->DeleteJob(job).ok());
  EXPECT_EQ(Forget({.worker = "new"}), "0 0 1");
  EXPECT_EQ(Forget({.job = job}), "0 0 0") << "there is no such job";
  EXPECT_TRUE(queue_->FindResult(key)->has_value());
  EXPECT_EQ(Forget({.worker = "new", .unknown_maker = true}), "1 0 0");
  EXPECT_FALSE(queue_->FindResult(key)->has_value());
}

TEST_P(MadeResults, WorkThatAnyOfTheAttemptsDidIsForgottenWithThem) {
  const JobId job = Add("a");
  const AttemptId first = Start(TaskOf(job), {"bad", "s"}, 1000);
  const domain::Checkpoint part{.tree = SampleTree("part"), .stage = "pack"};
  ASSERT_TRUE(queue_->KeepCheckpoint(first, part, 1500).ok());
  ASSERT_TRUE(queue_->EndAttempt(first, sched::Ending::kLeaseLost, Again(), 1600).ok());
  const AttemptId second = Start(TaskOf(job), {"good", "s"}, 1700);
  EXPECT_EQ(queue_->GetLease(second)->checkpoint, part);
  ASSERT_TRUE(queue_->KeepCheckpoint(second, part, 1800).ok());
  EXPECT_EQ(Forget({.worker = "other"}), "0 0 0");
  EXPECT_EQ(Forget({.worker = "bad", .made_from_unix_ms = 1801}), "0 0 0");
  EXPECT_EQ(Forget({.worker = "bad"}), "0 1 0") << "the second went on from what it did";
  ASSERT_TRUE(queue_->EndAttempt(second, sched::Ending::kLeaseLost, Again(), 1900).ok());
  EXPECT_FALSE(queue_->GetLease(Start(TaskOf(job), {"good", "s"}, 2000))->checkpoint.has_value());
}

INSTANTIATE_TEST_SUITE_P(Queues, MadeResults, ::testing::Values("memory", "sqlite"), QueueName);

}  // namespace
}  // namespace tyllm::server::store
