// SPDX-License-Identifier: Apache-2.0
#include "common/domain/tools.h"
#include "tests/server/store/queue_contract.h"

// What makes the programs of a job.
namespace tyllm::server::store {
namespace {

using domain::JobKind;

class CompilerContract : public EveryQueue {
 protected:
  static NewJob Job(const char* request, const std::string& compiler) {
    NewJob job = SampleJob(request, JobKind::kCompile);
    job.spec.no_cache = false;
    domain::SetCompiler(job.plan, compiler);
    return job;
  }

  std::string CompilerOf(TaskId task) { return queue_->GetTask(task)->spec.compiler; }

  std::string Needs(TaskId task) {
    std::string tools;
    const auto record = queue_->GetTask(task);
    for (const domain::Requirement& one : record->requirements) {
      tools += one.property.starts_with("tool.") ? one.value : "";
    }
    return tools;
  }
};

TEST_P(CompilerContract, AnotherOneIsOfAllTasksThatHaveOneAndOfTheirKeys) {
  const JobId job = Enqueue(Job("r", ""));
  const auto before = queue_->GetTask({1})->key;
  EXPECT_TRUE(*queue_->SetCompiler(job, "cc 1", 2000));
  for (const TaskId task : {TaskId{1}, TaskId{2}, TaskId{3}}) {
    EXPECT_EQ(CompilerOf(task), "cc 1");
  }
  EXPECT_EQ(Needs({1}), "cc 1");
  EXPECT_EQ(Needs({3}), "") << "it runs none";
  EXPECT_NE(queue_->GetTask({1})->key, before);
  EXPECT_EQ(queue_->GetTask({3})->key, std::nullopt) << "it waits for its inputs";
  EXPECT_EQ(queue_->EventsAfter(job, 0, 100)->back().number, queue_->GetJob(job)->last_event);
  EXPECT_FALSE(*queue_->SetCompiler(job, "cc 1", 2000)) << "nothing changes";
  EXPECT_TRUE(*queue_->SetCompiler(job, "cc 2", 2000)) << "nothing has begun";
  EXPECT_EQ(queue_->GetLease(Start({1}))->spec.compiler, "cc 2");
  EXPECT_TRUE(*queue_->KeysAreTrue());
  EXPECT_EQ(queue_->SetCompiler(JobId{99}, "cc", 2000).status().code(), StatusCode::kNotFound);
}

TEST_P(CompilerContract, WhatIsMadeOrBeingMadeWithOneStaysWithIt) {
  const JobId job = Enqueue(Job("r", "cc 1"));
  const AttemptId first = Start({1});
  EXPECT_FALSE(*queue_->SetCompiler(job, "cc 2", 2500));
  ASSERT_TRUE(queue_->Succeed(first, SampleTree("die0"), {}, 3000).ok());
  EXPECT_FALSE(*queue_->SetCompiler(job, "cc 2", 3000));
  EXPECT_EQ(CompilerOf({2}), "cc 1");
  EXPECT_EQ(Show(job),
            "compile.die0 succeeded t1, compile.die1 queued t2, assemble waiting t3; "
            "running");
}

TEST_P(CompilerContract, ResultsOfOneAreFoundByJobsWithItOnly) {
  Enqueue(Job("r", "cc 1"));
  ASSERT_TRUE(
      queue_->Succeed(Start({1}), SampleTree("die0"), queue_->GetTask({1})->key, 3000).ok());
  const JobId other = Enqueue(Job("s", "cc 2"));
  EXPECT_TRUE(queue_->CacheHits({.limit = 9})->empty());
  ASSERT_TRUE(*queue_->SetCompiler(other, "cc 1", 4000));
  const auto hits = queue_->CacheHits({.limit = 9});
  ASSERT_EQ(hits->size(), 1U);
  EXPECT_EQ(hits->front().task, TaskId{4});
  ASSERT_TRUE(*queue_->SetCompiler(other, "cc 2", 4000));
  EXPECT_TRUE(queue_->CacheHits({.limit = 9})->empty());
  EXPECT_TRUE(queue_->FindViolations()->empty());
  EXPECT_TRUE(*queue_->KeysAreTrue());
}

TEST_P(CompilerContract, WhatIsAskedOfWorkersAndThePriorityStay) {
  NewJob job = Job("r", "cc 1");
  job.spec.requirements = {{"cpus", domain::MatchRule::kMinimum, "2"}};
  const JobId id = Enqueue(job);
  ASSERT_TRUE(queue_->SetPriority(id, 7).ok());
  ASSERT_TRUE(*queue_->SetCompiler(id, "cc 2", 2000));
  const auto lane = queue_->LaneKeyOf({1});
  EXPECT_EQ(lane->priority, 7);
  domain::PlannedTask die = job.plan.tasks[0];
  die.spec.compiler = "cc 2";
  EXPECT_EQ(lane->needs, sched::NeedsOf(die, job.spec.requirements));
}

TEST_P(CompilerContract, AQueuedTaskCanFailWithoutAnAttempt) {
  const JobId job = Enqueue(Job("r", "cc 1"));
  ASSERT_TRUE(queue_->FailQueued({1}, SampleFailure("COMPILER_GONE"), 2000).ok());
  EXPECT_EQ(queue_->FailQueued({1}, SampleFailure("COMPILER_GONE"), 2000).code(),
            StatusCode::kAborted);
  EXPECT_EQ(queue_->FailQueued({99}, SampleFailure("COMPILER_GONE"), 2000).code(),
            StatusCode::kNotFound);
  ASSERT_TRUE(queue_->FailQueued({2}, SampleFailure("OTHER"), 2000).ok());
  EXPECT_EQ(Show(job),
            "compile.die0 failed t1, compile.die1 failed t2, assemble cancelled t3; failed");
  EXPECT_EQ(queue_->GetJob(job)->failure->reason, "COMPILER_GONE");
  EXPECT_TRUE(*queue_->KeysAreTrue());
}

INSTANTIATE_TEST_SUITE_P(Queues, CompilerContract, ::testing::Values("memory", "sqlite"),
                         QueueName);

}  // namespace
}  // namespace tyllm::server::store
