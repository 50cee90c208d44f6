// SPDX-License-Identifier: Apache-2.0
#include "tests/server/store/queue_contract.h"

// Lanes, shares, projects and what waiting depends on.
namespace tyllm::server::store {
namespace {

using domain::JobKind;
using domain::MatchRule;
using domain::Requirement;

class LanesContract : public EveryQueue {
 protected:
  NewJob Job(const char* request, const char* project, std::int32_t priority = 0) {
    NewJob job = SampleJob(request, JobKind::kConvert);
    job.spec.project = project;
    job.spec.priority = priority;
    return job;
  }

  /// "a 0: t1 t3".
  std::vector<std::string> Show() {
    std::vector<std::string> lanes;
    const auto found = queue_->Lanes(9'999'999);
    for (const sched::Lane& lane : *found) {
      std::string text = lane.key.project + " " + std::to_string(lane.key.priority) + ":";
      const auto candidates = queue_->Candidates(lane.id, 9'999'999, 100);
      for (const sched::Candidate& one : *candidates) {
        text += " " + one.id.ToString();
      }
      lanes.push_back(text);
    }
    return lanes;
  }

  using Texts = std::vector<std::string>;
};

TEST_P(LanesContract, TasksThatTheSchedulerCannotTellApartShareALane) {
  Enqueue(Job("1", "a"));
  Enqueue(Job("2", "b"));
  Enqueue(Job("3", "a"));
  Enqueue(Job("4", "a", 5));
  NewJob demanding = Job("5", "a");
  demanding.spec.requirements = {{"cpus", MatchRule::kMinimum, "8"}};
  Enqueue(demanding);
  EXPECT_EQ(Show(), (Texts{"a 0: t1 t3", "b 0: t2", "a 5: t4", "a 0: t5"}));
  EXPECT_EQ(queue_->Lanes(9999)->back().key.needs.requirements, demanding.spec.requirements);
  Start({1});
  EXPECT_EQ(queue_->Lanes(9999)->front().oldest_job, JobId{3});
  EXPECT_EQ(*queue_->CountBefore(1, JobId{99}, 100), 1);
}

TEST_P(LanesContract, ALaneShowsOnlyWhenSomethingInItIsDue) {
  Enqueue(Job("1", "a"));
  ASSERT_TRUE(queue_->EndAttempt(Start({1}), sched::Ending::kFailed, Again(500), 2500).ok());
  EXPECT_TRUE(queue_->Lanes(2999)->empty());
  ASSERT_EQ(queue_->Lanes(3000)->size(), 1U);
  const auto candidates = queue_->Candidates(1, 3000, 9);
  EXPECT_EQ(candidates->at(0).due_ms, 3000);
  EXPECT_EQ(candidates->at(0).failed_on, std::vector<std::string>{"gpu1"});
  EXPECT_TRUE(candidates->at(0).lost_by.empty());
  EXPECT_EQ(candidates->at(0).inputs, std::vector<BlobId>{SampleTree("model")});
}

TEST_P(LanesContract, APriorityMovesWhatHasNotEnded) {
  const JobId job = Enqueue(SampleJob("r", JobKind::kPipeline, 1));
  const AttemptId quantize = Start({1});
  ASSERT_TRUE(queue_->SetPriority(job, 7).ok());
  EXPECT_TRUE(Show().empty());
  ASSERT_TRUE(queue_->Succeed(quantize, SampleTree("out"), {}, 3000).ok());
  EXPECT_EQ(Show(), (Texts{"default 7: t2"}));
  ASSERT_TRUE(queue_->CancelJob(job, 3000).ok());
  EXPECT_EQ(queue_->SetPriority(job, 8).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(queue_->SetPriority(JobId{99}, 8).code(), StatusCode::kNotFound);
}

TEST_P(LanesContract, WhatNeedsALargerGpuGoesToALaneOfItsOwn) {
  Enqueue(Job("1", "a"));
  sched::Verdict larger = Again();
  larger.needs_gpu_memory = 1000;
  ASSERT_TRUE(queue_->EndAttempt(Start({1}), sched::Ending::kFailed, larger, 2500).ok());
  ASSERT_EQ(queue_->Lanes(9999)->size(), 1U);
  EXPECT_EQ(queue_->Lanes(9999)->front().key.needs.requirements,
            (std::vector<Requirement>{{"gpu_memory_bytes", MatchRule::kMinimum, "1000"}}));
}

TEST_P(LanesContract, UseIsChargedByTheWorkersRateAndDecays) {
  Enqueue(Job("1", "a"));
  Enqueue(Job("2", "b"));
  ASSERT_TRUE(queue_->StartSession({"gpu1", "s1"}, {.device = "cuda"}, 1).ok());
  ASSERT_TRUE(queue_->StartSession({"cpu1", "s1"}, {.device = "cpu"}, 1).ok());
  const AttemptId on_gpu = Start({1});
  Start({2}, {"cpu1", "s1"});
  const auto running = queue_->Shares(12'000);
  EXPECT_DOUBLE_EQ(running->projects.at("a").running_seconds, 10);
  EXPECT_DOUBLE_EQ(running->projects.at("b").running_seconds, 1);
  EXPECT_EQ(running->projects.at("b").running_tasks, 1);
  ASSERT_TRUE(queue_->Succeed(on_gpu, SampleTree("out"), {}, 22'000).ok());
  EXPECT_DOUBLE_EQ(queue_->GetJob(JobId{1})->tasks[0].device_seconds, 20);
  const std::int64_t day = 24 * 3600 * 1000;
  EXPECT_DOUBLE_EQ(queue_->Shares(22'000 + day)->projects.at("a").used_seconds, 10);
  EXPECT_EQ(queue_->Shares(22'000)->projects.at("a").running_tasks, 0);
}

TEST_P(LanesContract, ATasksLaneIsKnownWhateverBecameOfIt) {
  NewJob job = Job("1", "a", 3);
  job.spec.requirements = {{"cpus", MatchRule::kMinimum, "8"}};
  Enqueue(job);
  EXPECT_EQ(queue_->LaneKeyOf({1})->needs.requirements, job.spec.requirements);
  ASSERT_TRUE(queue_->Succeed(Start({1}), SampleTree("out"), {}, 3000).ok());
  EXPECT_EQ(queue_->LaneKeyOf({1})->priority, 3);
  EXPECT_EQ(queue_->LaneKeyOf({2}).status().code(), StatusCode::kNotFound);
}

TEST_P(LanesContract, SharesFollowWhatChangesInATransactionAndWhatIsUndone) {
  constexpr int kMany = 300;
  for (int i = 0; i < kMany; ++i) {
    Enqueue(Job(std::to_string(i).c_str(), i % 2 == 0 ? "a" : "b"));
  }
  const auto running = [&](const char* project) {
    return queue_->Shares(9999)->projects[project].running_tasks;
  };
  ASSERT_TRUE(queue_->Commit().ok());
  ASSERT_TRUE(queue_->Begin().ok());
  const AttemptId first = Start({1});
  EXPECT_EQ(running("a"), 1);
  ASSERT_TRUE(queue_->SetMark().ok());
  Start({2});
  EXPECT_EQ(running("b"), 1);
  ASSERT_TRUE(queue_->RevertToMark().ok());
  EXPECT_EQ(running("b"), 0);
  ASSERT_TRUE(queue_->SetPriority(JobId{1}, 7).ok());  // to another lane
  EXPECT_EQ(running("a"), 1);
  ASSERT_TRUE(queue_->Succeed(first, SampleTree("out"), {}, 3000).ok());
  EXPECT_EQ(running("a"), 0);
  for (int i = 2; i <= kMany; ++i) {  // more than are followed one by one
    Start({i});
  }
  EXPECT_EQ(running("a"), kMany / 2 - 1);
  EXPECT_EQ(running("b"), kMany / 2);
  queue_->Rollback();
  EXPECT_EQ(running("a") + running("b"), 0);
}

TEST_P(LanesContract, FailedLostAndStoppedAttemptsCostToo) {
  const JobId job = Enqueue(Job("1", "a"));
  ASSERT_TRUE(queue_->EndAttempt(Start({1}), sched::Ending::kFailed, Again(), 3000).ok());
  const AttemptId second = Start({1}, {"gpu1", "s1"}, 4000);
  ASSERT_TRUE(queue_->EndAttempt(second, sched::Ending::kLeaseLost, Again(), 6000).ok());
  const AttemptId third = Start({1}, {"gpu1", "s1"}, 7000);
  ASSERT_TRUE(queue_->CancelJob(job, 8000).ok());
  ASSERT_TRUE(queue_->EndCancelled(third, 10'000).ok());
  EXPECT_DOUBLE_EQ(queue_->GetProject("a")->total_seconds, 1 + 2 + 3);
}

TEST_P(LanesContract, AProjectKeepsItsWeightAndQuotasAndCountsItsJobs) {
  domain::Project project{.name = "a", .weight = 2.5};
  project.max_queued_jobs = 3;
  project.max_stored_bytes = 1'000;
  ASSERT_TRUE(queue_->SetProject(project).ok());
  EXPECT_EQ(queue_->GetProject("a")->project, project);
  const JobId job = Enqueue(Job("1", "a"));
  Enqueue(Job("2", "a"));
  EXPECT_EQ(queue_->GetProject("a")->queued_jobs, 2);
  ASSERT_TRUE(queue_->CancelJob(job, 2000).ok());
  EXPECT_EQ(queue_->GetProject("a")->queued_jobs, 1);
  EXPECT_EQ(queue_->GetProject("nobody")->project, domain::Project{.name = "nobody"});
  std::vector<std::string> names;
  const auto projects = queue_->ListProjects();
  for (const ProjectRecord& one : *projects) {
    names.push_back(one.project.name);
  }
  EXPECT_EQ(names, (Texts{"a", "default"}));
}

TEST_P(LanesContract, ATreeIsStoredOnceAProject) {
  const JobId one = Enqueue(Job("1", "a"));
  const JobId two = Enqueue(Job("2", "a"));
  const JobId other = Enqueue(Job("3", "b"));
  for (const JobId job : {one, one, two, other}) {
    ASSERT_TRUE(queue_->AddTree(job, SampleTree("model"), 100).ok());
  }
  ASSERT_TRUE(queue_->AddTree(two, SampleTree("text"), 7).ok());
  EXPECT_EQ(queue_->GetProject("a")->stored_bytes, 107);
  EXPECT_EQ(queue_->GetProject("b")->stored_bytes, 100);
}

TEST_P(LanesContract, PendingSaysWhatATaskWaitsFor) {
  const JobId job = Enqueue(SampleJob("r", JobKind::kPipeline, 1));
  const auto pending = queue_->Pending(job);
  ASSERT_EQ(pending->size(), 5U);
  EXPECT_EQ(pending->at(0).state, domain::TaskState::kQueued);
  EXPECT_TRUE(pending->at(0).waits_for.empty());
  EXPECT_EQ(pending->at(1).waits_for, Texts{"quantize"});
  EXPECT_EQ(pending->at(4).waits_for, (Texts{"convert", "compile.die0"}));
  EXPECT_EQ(pending->at(4).lane_key.needs.requirements,
            (std::vector<Requirement>{{"dies", MatchRule::kMinimum, "1"}}));
}

TEST_P(LanesContract, AnEventMayBeAddedWhileTheJobLives) {
  const JobId job = Enqueue(Job("1", "a"));
  const std::int64_t before = queue_->GetJob(job)->last_event;
  ASSERT_TRUE(queue_->NoteEvent({1}, "nobody can take it", 2000).ok());
  EXPECT_EQ(queue_->GetJob(job)->last_event, before + 1);
  EXPECT_EQ(queue_->EventsAfter(job, before, 9)->at(0).task->id, TaskId{1});
  ASSERT_TRUE(queue_->CancelJob(job, 2000).ok());
  EXPECT_EQ(queue_->NoteEvent({1}, "late", 2000).code(), StatusCode::kAborted);
}

INSTANTIATE_TEST_SUITE_P(Queues, LanesContract, ::testing::Values("sqlite", "memory"), QueueName);

}  // namespace
}  // namespace tyllm::server::store
