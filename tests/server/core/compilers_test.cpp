// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "server/core/list_workers.h"
#include "server/core/retry_job.h"
#include "server/core/validate_job.h"
#include "tests/server/core/await.h"
#include "tests/server/core/farm_fixture.h"

// One compiler a job, and tools that some workers lack.
namespace tyllm::server::core {
namespace {

using domain::PendingReason;

class CompilersTest : public FarmFixture {
 protected:
  using Tools = std::map<std::string, std::string>;

  SyncRequest With(const std::string& worker, Tools tools, const std::string& session = "s1") {
    SyncRequest request = From(worker, {}, session);
    request.capabilities.tools = std::move(tools);
    return request;
  }

  /// A worker with this compiler calls, with nothing to tell.
  std::vector<domain::Assignment> AskWith(const std::string& worker, const std::string& compiler,
                                          const std::string& session = "s1") {
    const auto reply = Sync(With(worker, {{"sim-x86_64", compiler}}, session));
    EXPECT_TRUE(reply.ok()) << reply.status().ToString();
    return reply.ok() ? reply->start : std::vector<domain::Assignment>();
  }

  /// It has made what it was given, and may get the next thing.
  std::vector<domain::Assignment> Made(const std::string& worker, const std::string& compiler,
                                       const domain::Assignment& what) {
    SyncRequest request = With(worker, {{"sim-x86_64", compiler}});
    const BlobId output = Upload(what.label + " by " + what.spec.compiler);
    request.held = {{.id = what.id, .progress = {}, .outcome = domain::Succeeded{output}}};
    const auto reply = Sync(request);
    EXPECT_TRUE(reply.ok()) << reply.status().ToString();
    return reply.ok() ? reply->start : std::vector<domain::Assignment>();
  }

  /// All that is queued for the worker; "compile.die0 by cc 1; ...".
  std::string MakeAll(const std::string& worker, const std::string& compiler) {
    std::string text;
    auto given = AskWith(worker, compiler);
    while (!given.empty()) {
      text += given[0].label + " by " + given[0].spec.compiler + "; ";
      given = Made(worker, compiler, given[0]);
    }
    return text;
  }

  domain::Pending PendingOf(JobId job, const std::string& label) {
    const JobView view = Get(job);
    const auto task = std::ranges::find(view.tasks, label, &domain::TaskView::label);
    return task->pending.value_or(domain::Pending{});
  }

  Result<JobView> Retry(JobId job) {
    domain::RetryRequest request;
    request.change.job = job;
    request.change.request_id = "again " + job.ToString();
    return Await(RetryJob(*farm_, request));
  }
};

TEST_F(CompilersTest, TheDiesOfAJobAreMadeWithOneCompilerWhoeverElseIsFree) {
  AskWith("w1", "cc 1");
  AskWith("w2", "cc 2");
  const JobId job = Submit("r", Spec(JobKind::kCompile, 2))->id;
  EXPECT_TRUE(AskWith("w2", "cc 2").empty());
  EXPECT_EQ(MakeAll("w1", "cc 1"),
            "compile.die0 by cc 1; compile.die1 by cc 1; assemble by cc 1; ");
  EXPECT_EQ(Get(job).state, JobState::kSucceeded);
}

TEST_F(CompilersTest, AssemblingNeedsNoCompiler) {
  AskWith("w1", "cc 1");
  const JobId job = Submit("r", Spec(JobKind::kCompile))->id;
  const auto die = AskWith("w1", "cc 1");
  ASSERT_EQ(die.size(), 1U);
  SyncRequest last = With("w1", {{"sim-x86_64", "cc 1"}});
  last.held = {{.id = die[0].id, .progress = {}, .outcome = domain::Succeeded{Upload("a die")}}};
  last.draining = true;
  ASSERT_TRUE(Sync(last).ok());
  const auto assemble = AskWith("w2", "cc 2");
  ASSERT_EQ(assemble.size(), 1U) << Show(job);
  EXPECT_EQ(assemble[0].spec.compiler, "cc 1") << "it is of that one's programs";
}

TEST_F(CompilersTest, OfAJobThatCameWhenNobodyWasThereItIsChosenWhenSomebodyComes) {
  const JobId job = Submit("r", Spec(JobKind::kCompile, 2))->id;
  EXPECT_EQ(PendingOf(job, "compile.die0").message,
            "no worker is online; it waits for a worker that can");
  const auto given = AskWith("w1", "cc 1");
  ASSERT_EQ(given.size(), 1U);
  EXPECT_EQ(given[0].spec.compiler, "cc 1");
}

TEST_F(CompilersTest, WhileNothingIsMadeAnotherCompilerTakesThePlaceOfOneThatIsGone) {
  AskWith("w1", "cc 1");
  const JobId job = Submit("r", Spec(JobKind::kCompile, 2))->id;
  const auto given = AskWith("w1", "cc 2", "s2");
  ASSERT_EQ(given.size(), 1U) << Show(job);
  EXPECT_EQ(given[0].spec.compiler, "cc 2");
  const auto events = Await(
      farm_->parts.store.Look([&](store::Queue& queue) { return queue.EventsAfter(job, 0, 100); }));
  ASSERT_TRUE(events.ok());
  EXPECT_TRUE(std::ranges::any_of(*events, [](const domain::JobEvent& event) {
    return event.text == "programs are made with cc 2";
  }));
}

TEST_F(CompilersTest, AJobThatIsHalfMadeWaitsForItsCompilerSaysSoAndFailsInTheEnd) {
  AskWith("w1", "cc 1");
  const JobId job = Submit("r", Spec(JobKind::kCompile, 2))->id;
  const auto die = AskWith("w1", "cc 1");
  ASSERT_EQ(die.size(), 1U);
  SyncRequest last = With("w1", {{"sim-x86_64", "cc 1"}});
  last.held = {{.id = die[0].id, .progress = {}, .outcome = domain::Succeeded{Upload("a die")}}};
  last.draining = true;
  ASSERT_TRUE(Sync(last).ok());
  EXPECT_TRUE(AskWith("w1", "cc 2", "s2").empty());
  const domain::Pending pending = PendingOf(job, "compile.die1");
  EXPECT_EQ(pending.reason, PendingReason::kNoWorker);
  ASSERT_EQ(pending.shortfalls.size(), 1U);
  EXPECT_EQ(pending.shortfalls[0].asked.value, "cc 1");
  EXPECT_EQ(pending.shortfalls[0].best, "cc 2");
  ASSERT_TRUE(Sweep().ok());
  for (int minute = 0; minute < 9; ++minute) {
    Advance(std::chrono::minutes(1));
    AskWith("w1", "cc 2", "s2");
    ASSERT_TRUE(Sweep().ok());
  }
  EXPECT_EQ(Show(job), "compile.die0 succeeded, compile.die1 queued, assemble waiting; running");
  Advance(std::chrono::minutes(1));
  AskWith("w1", "cc 2", "s2");
  ASSERT_TRUE(Sweep().ok());
  EXPECT_EQ(Show(job), "compile.die0 succeeded, compile.die1 failed, assemble cancelled; failed");
  const auto failure = Get(job).failure;
  EXPECT_EQ(failure->reason, "COMPILER_GONE");
  EXPECT_EQ(failure->blame, domain::Blame::kFarm);
  const auto retried = Retry(job);
  ASSERT_TRUE(retried.ok()) << retried.status().ToString();
  EXPECT_FALSE(retried->tasks[0].cached) << "the die of the other compiler is made anew";
  const auto given = AskWith("w1", "cc 2", "s2");
  ASSERT_EQ(given.size(), 1U);
  EXPECT_EQ(given[0].label, "compile.die0");
  EXPECT_EQ(given[0].spec.compiler, "cc 2");
}

TEST_F(CompilersTest, ACompilerThatComesBackIsGoneOnWith) {
  AskWith("w1", "cc 1");
  const JobId job = Submit("r", Spec(JobKind::kCompile, 2))->id;
  const auto die = AskWith("w1", "cc 1");
  SyncRequest last = With("w1", {{"sim-x86_64", "cc 1"}});
  last.held = {{.id = die[0].id, .progress = {}, .outcome = domain::Succeeded{Upload("a die")}}};
  last.draining = true;
  ASSERT_TRUE(Sync(last).ok());
  AskWith("w2", "cc 2");
  ASSERT_TRUE(Sweep().ok());
  const auto given = AskWith("w1", "cc 1", "s3");
  ASSERT_EQ(given.size(), 1U) << Show(job);
  EXPECT_EQ(given[0].label, "compile.die1");
}

TEST_F(CompilersTest, ResultsOfACompilerThatIsGoneAreNotMixedWithThoseOfAnother) {
  AskWith("w1", "cc 1");
  ASSERT_TRUE(Submit("1", Spec(JobKind::kCompile, 2)).ok());
  EXPECT_EQ(MakeAll("w1", "cc 1"),
            "compile.die0 by cc 1; compile.die1 by cc 1; assemble by cc 1; ");
  const JobId same = Submit("2", Spec(JobKind::kCompile, 2))->id;
  EXPECT_EQ(Get(same).state, JobState::kSucceeded) << "from the cache";
  SyncRequest gone = With("w1", {{"sim-x86_64", "cc 1"}});
  gone.draining = true;
  ASSERT_TRUE(Sync(gone).ok());
  AskWith("w2", "cc 2");
  ASSERT_TRUE(Submit("3", Spec(JobKind::kCompile, 2)).ok());
  EXPECT_EQ(MakeAll("w2", "cc 2"),
            "compile.die0 by cc 2; compile.die1 by cc 2; assemble by cc 2; ");
}

TEST_F(CompilersTest, WorkersThatAreRememberedSayWhereResultsAreWhenNobodyIsThere) {
  AskWith("w1", "cc 1");
  ASSERT_TRUE(Submit("1", Spec(JobKind::kCompile)).ok());
  MakeAll("w1", "cc 1");
  Restart();
  const JobId same = Submit("2", Spec(JobKind::kCompile))->id;
  EXPECT_EQ(Get(same).state, JobState::kSucceeded);
}

TEST_F(CompilersTest, WhatNobodyHasTheToolForWaitsAndSaysSoAtOnce) {
  AskWith("w1", "cc 1");
  domain::JobSpec spec = Spec(JobKind::kCompile);
  spec.compile.target = domain::CompileTarget::kTytvm;
  const auto validation = Await(ValidateJob(*farm_, {"r", spec}));
  ASSERT_TRUE(validation.ok());
  ASSERT_EQ(validation->problems.size(), 1U);
  EXPECT_EQ(validation->problems[0].reason, domain::kNoWorkerReason);
  EXPECT_EQ(validation->problems[0].message,
            "assemble: none of 1 worker can take it: tool.tytvm is to be there, no worker states "
            "it; it waits for a worker that can");
  EXPECT_EQ(validation->tasks[0].eligible_workers, 0);
  const JobId job = Submit("r", spec)->id;
  EXPECT_TRUE(AskWith("w1", "cc 1").empty());
  EXPECT_EQ(PendingOf(job, "assemble").reason, PendingReason::kNoWorker);
  const auto given = Sync(With("w2", {{"tytvm", "2.1"}}));
  ASSERT_EQ(given->start.size(), 1U) << Show(job);
  EXPECT_EQ(given->start[0].spec.compiler, "2.1");
}

TEST_F(CompilersTest, AVideoFileNeedsItsReaderAndAFolderOfFramesDoesNot) {
  domain::JobSpec spec = Spec(JobKind::kEvaluate);
  spec.evaluate.prompts = {"What is it?"};
  spec.videos = {Upload("a video")};
  AskWith("w1", "cc 1");
  const JobId file = Submit("1", spec)->id;
  EXPECT_TRUE(AskWith("w1", "cc 1").empty());
  EXPECT_EQ(PendingOf(file, "evaluate").shortfalls[0].asked.property, "tool.video");
  EXPECT_EQ(Sync(With("w2", {{"video", "1.0"}}))->start.size(), 1U);
  const auto frame = blobs_->WriteSmall("a frame");
  const format::Tree frames{{{.path = "1.png", .blob = *frame}, {.path = "2.png", .blob = *frame}}};
  spec.videos = {*blobs_->WriteSmall(format::ToText(frames))};
  ASSERT_TRUE(Submit("2", spec).ok());
  EXPECT_EQ(AskWith("w1", "cc 1").size(), 1U);
}

TEST_F(CompilersTest, AMachineThatLacksAToolIsLeftAloneForTheTaskAndNotBenched) {
  const domain::Failure missing{.blame = domain::Blame::kWorker,
                                .reason = std::string(domain::kToolMissingReason),
                                .message = "no compiler here",
                                .stage = "start",
                                .retryable = true,
                                .log_tail = {}};
  AskWith("w1", "cc 1");
  AskWith("w2", "cc 1");
  for (int i = 0; i < 4; ++i) {
    domain::JobSpec spec = Spec(JobKind::kCompile);
    spec.name = "m" + std::to_string(i);
    spec.compile.max_kv = 64 + i;
    ASSERT_TRUE(Submit(spec.name, spec).ok());
    const auto given = AskWith("w1", "cc 1");
    ASSERT_EQ(given.size(), 1U) << i;
    Report("w1", given[0].id, missing);
  }
  const auto workers = Await(ListWorkers(*farm_));
  ASSERT_TRUE(workers.ok());
  for (const domain::WorkerView& worker : *workers) {
    EXPECT_FALSE(worker.bench) << worker.name;
  }
  Advance(std::chrono::minutes(1));
  AskWith("w2", "cc 1");
  EXPECT_TRUE(AskWith("w1", "cc 1").empty()) << "they are left to the other";
}

}  // namespace
}  // namespace tyllm::server::core
