// SPDX-License-Identifier: Apache-2.0
#include "common/domain/validation.h"
#include "tests/server/store/queue_contract.h"

// What every queue promises of requests, lists, deletion and what it remembers of tasks.
namespace tyllm::server::store {
namespace {

using domain::JobKind;
using domain::JobOrder;
using domain::JobState;

class EveryQueuesRecords : public EveryQueue {
 protected:
  JobId Add(const std::string& request, const std::function<void(domain::JobSpec&)>& shape = {},
            std::int64_t now = 1000) {
    NewJob job = SampleJob(request, JobKind::kQuantize);
    if (shape) {
      shape(job.spec);
    }
    job.plan = domain::PlanJob(job.spec);
    return Enqueue(job, now);
  }

  std::string List(const JobFilter& filter) {
    std::string text;
    const auto jobs = queue_->ListJobs(filter);
    EXPECT_TRUE(jobs.ok()) << jobs.status().ToString();
    for (const domain::JobView& job : *jobs) {
      text += (text.empty() ? "" : " ") + job.id.ToString();
    }
    return text;
  }

  JobFilter By(JobOrder order) {
    JobFilter filter;
    filter.order = order;
    return filter;
  }

  void Cancel(JobId job, std::int64_t now) { ASSERT_TRUE(queue_->CancelJob(job, now).ok()); }
};

TEST_P(EveryQueuesRecords, RequestsAreRememberedWithWhatTheyDid) {
  const AnsweredRequest answered{"UpdateJob", DigestOf("what"), JobId{7}};
  ASSERT_TRUE(queue_->NoteRequest("u", answered, 1000).ok());
  EXPECT_EQ(*queue_->FindRequest("u"), answered);
  const JobId job = Add("s");
  EXPECT_EQ((*queue_->FindRequest("s"))->method, "SubmitJob");
  EXPECT_EQ((*queue_->FindRequest("s"))->job, job);
  EXPECT_EQ(*queue_->ForgetRequests(1000, 9), 0);
  EXPECT_EQ(*queue_->ForgetRequests(1001, 1), 1);
  EXPECT_EQ(*queue_->ForgetRequests(1001, 9), 1);
  EXPECT_FALSE((*queue_->FindRequest("u")).has_value());
}

TEST_P(EveryQueuesRecords, JobsAreListedInEveryOrderFromAnyPlaceOn) {
  const JobId a = Add("a", [](auto& spec) { spec.priority = 5; });
  const JobId b = Add("b");
  const JobId c = Add("c", [](auto& spec) { spec.priority = 5; });
  const JobId d = Add("d", [](auto& spec) { spec.priority = -1; });
  Cancel(c, 3000);
  Cancel(a, 3000);
  Cancel(b, 2000);
  EXPECT_EQ(List(By(JobOrder::kNewest)), "j4 j3 j2 j1");
  EXPECT_EQ(List(By(JobOrder::kOldest)), "j1 j2 j3 j4");
  EXPECT_EQ(List(By(JobOrder::kPriority)), "j1 j3 j2 j4");
  EXPECT_EQ(List(By(JobOrder::kEnded)), "j3 j1 j2");
  JobFilter rest = By(JobOrder::kPriority);
  rest.after = JobPosition{5, a};
  EXPECT_EQ(List(rest), "j3 j2 j4");
  rest.after = JobPosition{0, b};
  EXPECT_EQ(List(rest), "j4");
  rest.after = std::nullopt;
  rest.limit = 3;
  EXPECT_EQ(List(rest), "j1 j3 j2");
  rest = By(JobOrder::kEnded);
  rest.after = JobPosition{3000, c};
  EXPECT_EQ(List(rest), "j1 j2");
  rest = By(JobOrder::kOldest);
  rest.after = JobPosition{0, b};
  rest.states = {JobState::kCancelled, JobState::kQueued};
  rest.limit = 1;
  EXPECT_EQ(List(rest), "j3");
  rest.limit = 9;
  EXPECT_EQ(List(rest), "j3 j4");
  EXPECT_EQ(d, JobId{4});
}

TEST_P(EveryQueuesRecords, AFilterIsEverythingThatIsGiven) {
  Add("a", [](auto& spec) {
    spec.labels = {{"team", "vision"}, {"run", "7"}};
    spec.project = "p";
    spec.name = "Qwen3-8B";
  });
  Add("b", [](auto& spec) { spec.labels = {{"team", "text"}}; }, 2000);
  Add(
      "c",
      [](auto& spec) {
        spec.kind = JobKind::kConvert;
        spec.name = "Qwen3-1.7B";
      },
      3000);
  JobFilter filter;
  filter.labels = {{"team", ""}};
  EXPECT_EQ(List(filter), "j2 j1");
  filter.labels = {{"team", "vision"}, {"run", "7"}};
  EXPECT_EQ(List(filter), "j1");
  filter.labels = {{"team", "vision"}, {"run", "8"}};
  EXPECT_EQ(List(filter), "");
  filter = {};
  filter.project = "p";
  EXPECT_EQ(List(filter), "j1");
  filter.states = {JobState::kFailed};
  EXPECT_EQ(List(filter), "");
  filter = {};
  filter.kinds = {JobKind::kConvert, JobKind::kCompile};
  EXPECT_EQ(List(filter), "j3");
  filter = {};
  filter.name_prefix = "Qwen3-";
  EXPECT_EQ(List(filter), "j3 j1");
  filter = {};
  filter.created_from_ms = 2000;
  filter.created_before_ms = 3000;
  EXPECT_EQ(List(filter), "j2");
}

TEST_P(EveryQueuesRecords, LabelsAndPriorityAreAsTheyAreNow) {
  const JobId job = Add("a", [](auto& spec) { spec.labels = {{"team", "vision"}}; });
  ASSERT_TRUE(queue_->SetPriority(job, 9).ok());
  ASSERT_TRUE(queue_->SetLabels(job, {{"run", "7"}}).ok());
  EXPECT_EQ(queue_->GetJob(job)->priority, 9);
  const std::map<std::string, std::string> labels = {{"run", "7"}};
  EXPECT_EQ(queue_->GetJob(job)->labels, labels);
  Cancel(job, 2000);
  EXPECT_EQ(queue_->SetPriority(job, 1).code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(queue_->SetLabels(job, {}).ok());
  EXPECT_TRUE(queue_->GetJob(job)->labels.empty());
  EXPECT_EQ(queue_->SetLabels({9}, {}).code(), StatusCode::kNotFound);
}

TEST_P(EveryQueuesRecords, ADeletedJobLeavesOnlyItsResults) {
  const JobId job = Add("a");
  const BlobId output = SampleTree("out");
  ASSERT_TRUE(queue_->AddTree(job, SampleTree("model"), 100).ok());
  EXPECT_EQ(queue_->DeleteJob(job).status().code(), StatusCode::kFailedPrecondition);
  const AttemptId attempt = Start({1});
  ASSERT_TRUE(queue_->NoteDecision({1}, "why", 2000).ok());
  ASSERT_TRUE(queue_->Succeed(attempt, output, DigestOf("key"), 3000).ok());
  const std::vector<TaskId> gone = {TaskId{1}};
  EXPECT_EQ(*queue_->DeleteJob(job), gone);
  EXPECT_EQ(queue_->GetJob(job).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(queue_->GetTask({1}).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(List({}), "");
  EXPECT_EQ(queue_->GetProject("default")->stored_bytes, 0);
  EXPECT_EQ(*queue_->FindResult(DigestOf("key")), output);
  const std::vector<BlobId> in_use = {output};
  EXPECT_EQ(*queue_->TreesInUse(), in_use);
  EXPECT_EQ(Add("b"), JobId{2});  // ids are not used again
}

TEST_P(EveryQueuesRecords, AJobWhoseRunningTaskMovedAwayCanStillBeRead) {
  const auto share = [](auto& spec) { spec.no_cache = false; };
  const JobId first = Add("a", share);
  const JobId second = Add("b", share);
  Start({1});
  Cancel(first, 2500);  // the run goes on for the second
  EXPECT_EQ(queue_->GetTask({1})->job, second);
  ASSERT_TRUE(queue_->Succeed({TaskId{1}, 1}, SampleTree("out"), {}, 3000).ok());
  ASSERT_TRUE(queue_->DeleteJob(second).ok());
  const auto events = queue_->EventsAfter(first, 0, 100);
  ASSERT_TRUE(events.ok()) << events.status().ToString();
  EXPECT_FALSE(events->empty());
  EXPECT_TRUE(queue_->DeleteJob(first).ok());
}

TEST_P(EveryQueuesRecords, AJobThatContinuesAnotherKeepsWhatItMade) {
  const JobId first = Enqueue(SampleJob("a", JobKind::kCompile, 1));
  const BlobId die = SampleTree("die");
  ASSERT_TRUE(queue_->Succeed(Start({1}), die, {}, 3000).ok());
  Cancel(first, 4000);
  NewJob next = SampleJob("b", JobKind::kCompile, 1);
  next.retry_of = first;
  next.kept["compile.die0"] = {die, *queue_->GetTask({1})->key, TaskId{1}};
  const JobId second = Enqueue(next, 5000);
  EXPECT_EQ(Show(second), "compile.die0 succeeded t3, assemble queued t4; running");
  const TaskRecord kept = *queue_->GetTask({3});
  EXPECT_TRUE(kept.kept);
  EXPECT_EQ(kept.made_by, TaskId{1});
  EXPECT_EQ(queue_->GetJob(second)->retry_of, first);
  EXPECT_EQ(queue_->GetTask({4})->trees.at("die0"), die);
}

TEST_P(EveryQueuesRecords, AttemptsAndDecisionsAreKeptInOrder) {
  domain::Capabilities capabilities;
  capabilities.toolchain_version = "2.1";
  ASSERT_TRUE(queue_->StartSession({"gpu1", "s1"}, capabilities, 1).ok());
  Add("a");
  ASSERT_TRUE(queue_->EndAttempt(Start({1}), sched::Ending::kFailed, Again(), 2500).ok());
  const AttemptId second = Start({1}, {"gpu2", "s2"}, 2600);
  auto attempts = *queue_->Attempts({1});
  ASSERT_EQ(attempts.size(), 2U);
  EXPECT_EQ(attempts[0].worker, "gpu1");
  EXPECT_EQ(attempts[0].ending, sched::Ending::kFailed);
  EXPECT_EQ(attempts[0].failure->reason, "CRASHED");
  EXPECT_EQ(attempts[0].ended_unix_ms, 2500);
  EXPECT_EQ(attempts[1].session, "s2");
  EXPECT_FALSE(attempts[1].ending.has_value());
  for (int i = 0; i < 103; ++i) {
    ASSERT_TRUE(queue_->NoteDecision({1}, std::to_string(i), i).ok());
  }
  const auto decisions = *queue_->Decisions({1});
  ASSERT_EQ(decisions.size(), 100U);
  EXPECT_EQ(decisions.front().text, "3");
  EXPECT_EQ(decisions.back().text, "102");
  ASSERT_TRUE(queue_->Succeed(second, SampleTree("out"), {}, 3600).ok());
}

TEST_P(EveryQueuesRecords, WhyAttemptsWereGivenStandsBeforeWhatBecameOfThem) {
  Add("a");
  const std::int64_t lane = queue_->Lanes(3000)->front().id;
  const std::int64_t moment = 3000;
  for (const char* judged : {"first", "second"}) {
    const auto lease = queue_->StartAttempt({1}, {"w", "s"}, moment, {.lane = lane, .charge = 7});
    ASSERT_TRUE(lease.ok()) << lease.status().ToString();
    ASSERT_TRUE(queue_->NoteDecision({1}, judged, moment).ok());
    ASSERT_TRUE(queue_->EndAttempt(lease->id, sched::Ending::kFailed, Again(), moment).ok());
  }
  const auto decisions = *queue_->Decisions({1});
  ASSERT_EQ(decisions.size(), 4U);
  EXPECT_EQ(decisions[0].text.find("attempt 1 goes to w: next of project 'default'"), 0U);
  EXPECT_NE(decisions[0].text.find("has had 7 device-seconds"), std::string::npos);
  EXPECT_EQ(decisions[1].text, "first");
  EXPECT_EQ(decisions[2].text.find("attempt 2 goes to w"), 0U);
  EXPECT_EQ(decisions[3].text, "second");
}

TEST_P(EveryQueuesRecords, WhatAttemptsUsedAndWhatWasTooSmallForThemIsRemembered) {
  Add("a");
  Add("b", [](auto& spec) { spec.quantize.samples = 7; });
  sched::Verdict too_large = Again();
  too_large.needs_gpu_memory = 25;
  ASSERT_TRUE(queue_->EndAttempt(Start({1}), sched::Ending::kFailed, too_large, 3000).ok());
  ASSERT_TRUE(queue_->EndAttempt(Start({2}), sched::Ending::kFailed, Again(), 3100).ok());
  const Completed made{.output = SampleTree("out"),
                       .bytes = 1,
                       .toolchain_version = "1.0",
                       .used = {.memory_bytes = 5, .gpu_memory_bytes = 30, .disk_bytes = 1}};
  ASSERT_TRUE(*queue_->Complete(Start({1}, {"gpu2", "s"}, 3200), made, 3600));
  const sched::SizeClass size = sched::SizeClassOf(queue_->GetTask({1})->spec);
  const std::vector<SeenAttempt> seen = {{size, {.gpu_too_small = 24}},
                                         {size, {.run_ms = 400, .used = made.used}}};
  EXPECT_EQ(*queue_->SeenAttempts(9), seen);
  ASSERT_TRUE(queue_->Succeed(Start({2}, {"w", "s"}, 4000), SampleTree("x"), {}, 4100).ok());
  EXPECT_EQ(queue_->SeenAttempts(9)->size(), 3U);
  const auto last = *queue_->SeenAttempts(1);
  ASSERT_EQ(last.size(), 2U) << "one of each";
  EXPECT_EQ(last[0].run.gpu_too_small, 24);
  EXPECT_EQ(last[1].run.run_ms, 100);
  EXPECT_NE(last[1].size, size) << "samples make a difference";
}

TEST_P(EveryQueuesRecords, TheToolchainOfTheLastAttemptIsKnown) {
  domain::Capabilities capabilities;
  capabilities.toolchain_version = "2.1";
  ASSERT_TRUE(queue_->StartSession({"gpu1", "s1"}, capabilities, 1).ok());
  Add("a");
  EXPECT_EQ(queue_->GetTask({1})->toolchain_version, "");
  Start({1});
  EXPECT_EQ(queue_->GetTask({1})->toolchain_version, "2.1");
  EXPECT_EQ(*queue_->FindRunning(*queue_->GetTask({1})->key), TaskId{1});
}

TEST_P(EveryQueuesRecords, JobsThatEndedLongAgoAndUnusedResultsAreFound) {
  const JobId early = Add("a");
  const JobId late = Add("b");
  Add("c");
  Cancel(late, 3000);
  Cancel(early, 2000);
  EXPECT_EQ(*queue_->EndedBefore(3000, 9), std::vector<JobId>{early});
  EXPECT_EQ(*queue_->EndedBefore(9000, 1), std::vector<JobId>{early});
  const std::vector<JobId> both = {early, late};
  EXPECT_EQ(*queue_->EndedBefore(9000, 9), both);
  ASSERT_TRUE(queue_->Succeed(Start({3}), SampleTree("out"), DigestOf("key"), 5000).ok());
  EXPECT_EQ(*queue_->ForgetActions(5000, 9), 0);
  EXPECT_EQ(*queue_->ForgetActions(5001, 0), 0);
  EXPECT_EQ(*queue_->ForgetActions(5001, 9), 1);
  EXPECT_FALSE((*queue_->FindResult(DigestOf("key"))).has_value());
}

TEST_P(EveryQueuesRecords, JobsThatAreToBeKeptAreNotAmongThoseThatEndedLongAgo) {
  const JobId from_its_spec = Add("a", [](auto& spec) {
    spec.labels = {{std::string(domain::kKeepLabel), "1"}, {"team", "x"}};
  });
  const JobId from_then_on = Add("b");
  const JobId other = Add("c");
  for (const JobId job : {from_its_spec, from_then_on, other}) {
    Cancel(job, 2000);
  }
  ASSERT_TRUE(queue_->SetLabels(from_then_on, {{std::string(domain::kKeepLabel), ""}}).ok());
  ASSERT_TRUE(queue_->SetLabels(other, {{"keeper", "keep"}}).ok());
  EXPECT_EQ(*queue_->EndedBefore(9000, 9), std::vector<JobId>{other});
  ASSERT_TRUE(queue_->SetLabels(from_its_spec, {{"team", "x"}}).ok());
  const std::vector<JobId> free = {from_its_spec, other};
  EXPECT_EQ(*queue_->EndedBefore(9000, 9), free);
  EXPECT_EQ(*queue_->EndedBefore(9000, 1), std::vector<JobId>{from_its_spec});
}

TEST_P(EveryQueuesRecords, ATreesBytesAreKnownInTheProjectsThatReferToIt) {
  const JobId job = Add("a");
  const std::string project = queue_->GetJob(job)->project;
  ASSERT_TRUE(queue_->AddTree(job, SampleTree("large"), 10'000'000'000).ok());
  EXPECT_EQ(*queue_->TreeBytes(project, SampleTree("large")), 10'000'000'000);
  EXPECT_EQ(*queue_->TreeBytes("another", SampleTree("large")), 0);
  EXPECT_EQ(*queue_->TreeBytes(project, SampleTree("unknown")), 0);
}

TEST_P(EveryQueuesRecords, AReplacedSessionIsGivenNothing) {
  Add("a");
  Add("b");
  ASSERT_TRUE(queue_->StartSession({"gpu1", "old"}, {}, 1).ok());
  const auto lease = queue_->StartAttempt({1}, {"gpu1", "old"}, 2);
  ASSERT_TRUE(lease.ok()) << lease.status().ToString();
  ASSERT_TRUE(queue_->StartSession({"gpu1", "new"}, {}, 3).ok());
  EXPECT_EQ(queue_->StartAttempt({2}, {"gpu1", "old"}, 4).status().code(), StatusCode::kAborted);
  ASSERT_TRUE(queue_->Adopt(lease->id, "new").ok());
  EXPECT_EQ(queue_->Adopt(lease->id, "old").code(), StatusCode::kAborted);
  EXPECT_EQ(queue_->HeldBy("gpu1")->front().holder.session, "new");
  EXPECT_TRUE(queue_->StartAttempt({2}, {"gpu1", "new"}, 5).ok());
}

TEST_P(EveryQueuesRecords, AForgottenWorkerIsNewWhenItCallsAgain) {
  ASSERT_TRUE(queue_->StartSession({"gpu1", "old"}, {}, 1).ok());
  ASSERT_TRUE(queue_->StartSession({"gpu1", "new"}, {}, 2).ok());
  ASSERT_TRUE(queue_->SetWorkerMode("gpu1", {domain::WorkerMode::kCordoned, "x"}).ok());
  ASSERT_TRUE(queue_->StartSession({"gpu2", "a"}, {}, 3).ok());
  ASSERT_TRUE(queue_->ForgetWorker("gpu1").ok());
  EXPECT_EQ(*queue_->ListWorkers(), (std::vector<WorkerRecord>{{"gpu2", "a", {}, {}, 3}}));
  EXPECT_EQ(queue_->ForgetWorker("gpu1").code(), StatusCode::kNotFound);
  ASSERT_TRUE(queue_->StartSession({"gpu1", "old"}, {}, 4).ok());
  EXPECT_EQ(queue_->ListWorkers()->front().order.mode, domain::WorkerMode::kActive);
}

INSTANTIATE_TEST_SUITE_P(Queues, EveryQueuesRecords, ::testing::Values("memory", "sqlite"),
                         QueueName);

}  // namespace
}  // namespace tyllm::server::store
