// SPDX-License-Identifier: Apache-2.0
#include "tests/server/store/queue_contract.h"

// What every queue tells of who asked for what.
namespace tyllm::server::store {
namespace {

using domain::JobKind;

class WhoAsked : public EveryQueue {
 protected:
  JobId Add(const std::string& request, const std::string& submitted_by,
            const std::string& by = {}) {
    NewJob job = SampleJob(request, JobKind::kConvert);
    job.submitted_by = submitted_by;
    job.by = by;
    return Enqueue(job);
  }

  /// "ada - bob": of each event.
  std::string By(JobId job) {
    std::string text;
    const auto events = queue_->EventsAfter(job, 0, 100);
    for (const domain::JobEvent& event : *events) {
      text += (text.empty() ? "" : " ") + (event.by.empty() ? "-" : event.by);
    }
    return text;
  }

  std::string List(const JobFilter& filter) {
    std::string text;
    const auto jobs = queue_->ListJobs(filter);
    for (const domain::JobView& job : *jobs) {
      text += (text.empty() ? "" : " ") + job.id.ToString();
    }
    return text;
  }
};

TEST_P(WhoAsked, AJobIsItsSubmittersAndAnEventIsOfWhoAskedForIt) {
  const JobId job = Add("a", "ada", "bob");
  EXPECT_EQ(queue_->GetJob(job)->submitted_by, "ada");
  EXPECT_EQ(By(job), "bob -");
  ASSERT_TRUE(queue_->NoteChange(job, "the priority is 5 now", "eve", 1500).ok());
  EXPECT_EQ(queue_->GetJob(job)->state, domain::JobState::kQueued);
  ASSERT_TRUE(queue_->CancelJob(job, "ada", 2000).ok());
  EXPECT_EQ(By(job), "bob - eve ada - -") << "what follows from it nobody asked for";
  EXPECT_EQ(queue_->NoteChange(job, "late", "eve", 2500).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(queue_->NoteChange({9}, "none", "eve", 2500).code(), StatusCode::kNotFound);
}

TEST_P(WhoAsked, WhoHasNoNameIsToldAsNothing) {
  const JobId job = Add("a", "");
  ASSERT_TRUE(queue_->CancelJob(job, 2000).ok());
  EXPECT_EQ(queue_->GetJob(job)->submitted_by, "");
  EXPECT_EQ(By(job), "- - - - -");
}

TEST_P(WhoAsked, SomebodysJobsAreFoundInEveryOrderAndBesideOtherFilters) {
  Add("a", "ada");
  Add("b", "bob");
  Add("c", "ada");
  Add("d", "");
  JobFilter filter;
  filter.submitted_by = "ada";
  EXPECT_EQ(List(filter), "j3 j1");
  filter.order = domain::JobOrder::kOldest;
  EXPECT_EQ(List(filter), "j1 j3");
  filter.after = JobPosition{0, {1}};
  EXPECT_EQ(List(filter), "j3");
  filter.after.reset();
  filter.order = domain::JobOrder::kPriority;
  EXPECT_EQ(List(filter), "j1 j3");
  ASSERT_TRUE(queue_->CancelJob({3}, 2000).ok());
  filter.order = domain::JobOrder::kEnded;
  EXPECT_EQ(List(filter), "j3");
  filter.order = domain::JobOrder::kNewest;
  filter.states = {domain::JobState::kQueued};
  EXPECT_EQ(List(filter), "j1");
  filter = {};
  filter.submitted_by = "nobody of the farm";
  EXPECT_EQ(List(filter), "");
}

TEST_P(WhoAsked, AWorkersModeIsOfWhoAskedForIt) {
  ASSERT_TRUE(queue_->StartSession({"gpu1", "s"}, {}, 1).ok());
  const domain::ModeOrder order{domain::WorkerMode::kDraining, "new disk", "ada"};
  ASSERT_TRUE(queue_->SetWorkerMode("gpu1", order).ok());
  EXPECT_EQ(queue_->ListWorkers()->front().order, order);
  ASSERT_TRUE(queue_->SetWorkerMode("gpu1", {domain::WorkerMode::kActive, ""}).ok());
  EXPECT_EQ(queue_->ListWorkers()->front().order.by, "");
}

INSTANTIATE_TEST_SUITE_P(Queues, WhoAsked, ::testing::Values("memory", "sqlite"), QueueName);

}  // namespace
}  // namespace tyllm::server::store
