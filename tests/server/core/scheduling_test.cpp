// SPDX-License-Identifier: Apache-2.0
#include "server/core/projects.h"
#include "tests/server/core/gpu_farm.h"

// Which worker gets what, and what becomes of attempts that end badly: the policies of
// server/sched, seen through the use cases.
namespace tyllm::server::core {
namespace {

using domain::MatchRule;
using domain::PendingReason;
using std::chrono::minutes;
using std::chrono::seconds;

class Scheduling : public GpuFarm {
 protected:
  domain::JobSpec SpecOf(const std::string& project, const std::string& model = "a model") {
    domain::JobSpec spec = Spec(JobKind::kConvert);
    spec.model = Upload(model);
    spec.project = project;
    return spec;
  }

  std::vector<std::string> Events(JobId job) {
    std::vector<std::string> texts;
    const auto events =
        Await(store_->Run([&](store::Queue& queue) { return queue.EventsAfter(job, 0, 100); }));
    for (const domain::JobEvent& event : *events) {
      texts.push_back(event.text);
    }
    return texts;
  }
};

TEST_F(Scheduling, AWorkerGetsOnlyWhatItCanTake) {
  domain::JobSpec spec = SpecOf("default");
  spec.requirements = {{"device", MatchRule::kExact, "cuda"},
                       {"gpu_memory_bytes", MatchRule::kMinimum, std::to_string(40 * kGiB)}};
  ASSERT_TRUE(Submit("r", spec).ok());
  EXPECT_TRUE(Ask("cpu1").empty());
  EXPECT_TRUE(Started(Gpu("small", 24 * kGiB)).empty());
  EXPECT_EQ(Started(Gpu("large", 80 * kGiB)).size(), 1U);
}

TEST_F(Scheduling, WhatNoWorkerCanTakeIsSaidAtOnceWithTheBestOnOffer) {
  ASSERT_TRUE(Started(Gpu("small", 24 * kGiB)).empty());
  domain::JobSpec spec = SpecOf("default");
  spec.requirements = {{"gpu_memory_bytes", MatchRule::kMinimum, std::to_string(80 * kGiB)}};
  const auto job = Submit("r", spec);
  ASSERT_TRUE(job.ok());
  const std::string words =
      "gpu_memory_bytes is to be at least 80.0 GiB, the best on offer is 24.0 GiB";
  ASSERT_TRUE(job->tasks[0].pending.has_value());
  EXPECT_EQ(job->tasks[0].pending->reason, PendingReason::kNoWorker);
  EXPECT_NE(job->tasks[0].pending->message.find(words), std::string::npos);
  EXPECT_NE(Events(job->id).back().find("convert: none of 1 worker"), std::string::npos);
  EXPECT_EQ(job->state, JobState::kQueued) << "such a worker may come";
}

TEST_F(Scheduling, WaitingTasksSayWhy) {
  const JobId first = Submit("1", Spec(JobKind::kPipeline))->id;
  const JobId second = Submit("2", SpecOf("default", "another model"))->id;
  EXPECT_EQ(Get(first).tasks[0].pending->reason, PendingReason::kNoWorker);
  ASSERT_EQ(Ask("gpu1").size(), 1U);
  EXPECT_EQ(Get(first).tasks[0].pending, std::nullopt) << "it runs";
  EXPECT_EQ(Get(first).tasks[1].pending->reason, PendingReason::kInputs);
  EXPECT_EQ(Get(second).tasks[0].pending->reason, PendingReason::kBusy);
  const JobId same = Submit("3", Spec(JobKind::kPipeline))->id;
  EXPECT_EQ(Get(same).tasks[0].pending->joined, TaskId{1});
}

TEST_F(Scheduling, TooLittleGpuMemoryGoesToALargerGpuAndCountsNothing) {
  const JobId job = Submit("r", SpecOf("default"))->id;
  const SyncRequest small = Gpu("small", 24 * kGiB);
  const SyncRequest large = Gpu("large", 80 * kGiB);
  const AttemptId first = Started(small).at(0).id;
  ASSERT_TRUE(Started(Gpu("large", 80 * kGiB, 0)).empty());
  End(small, first, OutOfGpuMemory());
  EXPECT_EQ(Show(job), "convert queued; queued");
  EXPECT_EQ(Get(job).tasks[0].failure->out_of_memory, domain::MemoryKind::kGpu);
  EXPECT_TRUE(Started(small).empty());
  const AttemptId second = Started(large).at(0).id;
  const auto held = Await(store_->Run([&](store::Queue& queue) { return queue.FindHeld(second); }));
  EXPECT_EQ((*held)->spent, sched::Spent{});
  End(large, second, OutOfGpuMemory());
  EXPECT_EQ(Get(job).state, JobState::kFailed) << "there is no larger one";
  EXPECT_NE(Get(job).failure->message.find("more than 80.0 GiB"), std::string::npos);
  EXPECT_FALSE(Get(job).failure->action.empty());
}

TEST_F(Scheduling, AServerThatHasJustStartedKnowsOfTheLargerGpuThatHasNotCalledYet) {
  const JobId job = Submit("r", SpecOf("default"))->id;
  const SyncRequest small = Gpu("small", 24 * kGiB);
  const SyncRequest large = Gpu("large", 80 * kGiB);
  const AttemptId first = Started(small).at(0).id;
  ASSERT_TRUE(Started(Gpu("large", 80 * kGiB, 0)).empty());
  Restart();
  End(small, first, OutOfGpuMemory());
  EXPECT_EQ(Show(job), "convert queued; queued");
  EXPECT_EQ(Started(large).size(), 1U);
}

TEST_F(Scheduling, APauseDoesNotOutlastAClockThatGoesBack) {
  ASSERT_TRUE(Submit("r", SpecOf("default")).ok());
  const SyncRequest worker = From("w");
  const AttemptId first = Started(worker).at(0).id;
  End(worker, first,
      domain::Failure{.blame = domain::Blame::kToolchain,
                      .reason = "CRASHED",
                      .message = "signal 11",
                      .retryable = true});
  EXPECT_TRUE(Started(worker).empty());
  Advance(-std::chrono::hours(2));
  Restart();
  EXPECT_TRUE(Started(worker).empty()) << "the pause begins anew";
  Advance(minutes(11));
  EXPECT_EQ(Started(worker).size(), 1U);
}

TEST_F(Scheduling, OnlyDifferentWorkersMakeALostTaskPoisonous) {
  const JobId job = Submit("r", SpecOf("default"))->id;
  for (int i = 0; i < 4; ++i) {
    ASSERT_EQ(Ask("only").size(), 1U) << i;
    Advance(minutes(1));
    ASSERT_TRUE(Sweep().ok());
  }
  EXPECT_EQ(Get(job).state, JobState::kQueued);
  for (const char* worker : {"b", "c"}) {
    ASSERT_EQ(Ask(worker).size(), 1U) << worker;
    Advance(minutes(1));
    ASSERT_TRUE(Sweep().ok());
  }
  EXPECT_EQ(Get(job).state, JobState::kFailed);
  EXPECT_NE(Get(job).failure->message.find("on workers b, c, only"), std::string::npos);
}

TEST_F(Scheduling, ALostAttemptFailsWithTheLastLinesThatCame) {
  const JobId job = Submit("r", SpecOf("default"))->id;
  const AttemptId id = Ask("gpu1").at(0).id;
  const std::string log = std::string(3000, 'x') + "\nlayer 12 of 28\n";
  ASSERT_TRUE(Append({.id = id, .from = {"gpu1", "s1"}, .offset = 0, .data = log}).ok());
  Advance(minutes(1));
  ASSERT_TRUE(Sweep().ok());
  const domain::Failure failure = *Get(job).tasks[0].failure;
  EXPECT_EQ(failure.reason, "LEASE_LOST");
  EXPECT_EQ(failure.log_tail, "layer 12 of 28\n");
  EXPECT_EQ(failure.log_bytes, static_cast<std::int64_t>(log.size()));
  EXPECT_EQ(failure.worker, "gpu1");
  EXPECT_EQ(failure.attempt, 1);
}

TEST_F(Scheduling, ChangingOnlyTheNumberOfDiesReusesTheQuantizedModel) {
  ASSERT_TRUE(Submit("1", Spec(JobKind::kPipeline, 1)).ok());
  for (const char* output : {"quantized", "converted"}) {
    const AttemptId id = Ask("gpu1").at(0).id;
    End(From("gpu1"), id, domain::Succeeded{Upload(output)});
  }
  const JobId second = Submit("2", Spec(JobKind::kPipeline, 2))->id;
  const JobView job = Get(second);
  EXPECT_TRUE(job.tasks[0].cached);
  EXPECT_TRUE(job.tasks[1].cached);
  EXPECT_EQ(Show(second),
            "quantize succeeded, convert succeeded, evaluate queued, compile.die0 queued, "
            "compile.die1 queued, assemble waiting; running");
}

TEST_F(Scheduling, ARunThatOthersWaitForOutlivesItsJob) {
  const JobId first = Submit("1", SpecOf("a"))->id;
  const JobId second = Submit("2", SpecOf("b"))->id;
  const AttemptId id = Ask("gpu1").at(0).id;
  EXPECT_EQ(Cancel(first)->state, JobState::kCancelled);
  const auto reply = Sync(From("gpu1", {{.id = id, .progress = {.stage = "pack"}, .outcome = {}}}));
  EXPECT_TRUE(reply->stop.empty());
  EXPECT_EQ(Show(second), "convert running; running");
  Report("gpu1", id, domain::Succeeded{Upload("out")});
  EXPECT_EQ(Get(second).outputs.at("model"), Upload("out"));
  EXPECT_EQ(Get(first).state, JobState::kCancelled);
}

TEST_F(Scheduling, ProjectsTakeTurnsByWeight) {
  ASSERT_TRUE(
      Await(SetProject(*farm_,
                       {.request_id = {}, .project = {.name = "big", .weight = 2}, .etag = {}}))
          .ok());
  for (int i = 0; i < 6; ++i) {
    const std::string model = std::to_string(i);
    ASSERT_TRUE(Submit("b" + model, SpecOf("big", "b" + model)).ok());
    ASSERT_TRUE(Submit("s" + model, SpecOf("small", "s" + model)).ok());
  }
  std::map<std::string, int> given;
  for (const domain::Assignment& one : Started(Gpu("gpu1", 0, 6))) {
    const auto held =
        Await(store_->Run([&](store::Queue& queue) { return queue.FindHeld(one.id); }));
    ++given[Get((*held)->job).spec.project];
  }
  EXPECT_EQ(given["big"], 4);
  EXPECT_EQ(given["small"], 2);
  const auto uses = Await(ListProjects(*farm_));
  ASSERT_EQ(uses->size(), 3U);
  EXPECT_EQ(uses->at(0).project.name, "big");
  EXPECT_EQ(uses->at(0).running_tasks, 4);
  EXPECT_EQ(uses->at(0).queued_jobs, 6);
  EXPECT_DOUBLE_EQ(uses->at(0).due, 2.0 / 3);
  EXPECT_EQ(uses->at(1).project.name, "default");
  EXPECT_DOUBLE_EQ(uses->at(1).due, 0);
}

TEST_F(Scheduling, QuotasOfQueuedJobsAndStoredBytesAreMetAtAdmission) {
  domain::Project project{.name = "a"};
  project.max_queued_jobs = 1;
  ASSERT_TRUE(Await(SetProject(*farm_, {.request_id = {}, .project = project, .etag = {}})).ok());
  const auto first = Submit("1", SpecOf("a"));
  ASSERT_TRUE(first.ok());
  const auto second = Submit("2", SpecOf("a"));
  EXPECT_EQ(second.status().code(), StatusCode::kResourceExhausted);
  EXPECT_TRUE(second.status().message().starts_with("quota: project 'a' has 1 jobs"));
  EXPECT_EQ(Submit("1", SpecOf("a"))->id, first->id) << "a repetition is no second job";
  EXPECT_TRUE(Submit("3", SpecOf("b")).ok());
  ASSERT_TRUE(Cancel(first->id).ok());
  EXPECT_TRUE(Submit("4", SpecOf("a")).ok());

  project = {.name = "c"};
  project.max_stored_bytes = 20;
  ASSERT_TRUE(Await(SetProject(*farm_, {.request_id = {}, .project = project, .etag = {}})).ok());
  ASSERT_TRUE(Submit("5", SpecOf("c", "sixteen bytes...")).ok());
  EXPECT_EQ(Submit("6", SpecOf("c", "12 bytes...")).status().code(),
            StatusCode::kResourceExhausted);
}

TEST_F(Scheduling, AProjectRunsNoMoreThanItMayAtATime) {
  domain::Project project{.name = "a"};
  project.max_running_tasks = 1;
  ASSERT_TRUE(Await(SetProject(*farm_, {.request_id = {}, .project = project, .etag = {}})).ok());
  ASSERT_TRUE(Submit("1", SpecOf("a", "1")).ok());
  const JobId second = Submit("2", SpecOf("a", "2"))->id;
  EXPECT_EQ(Started(Gpu("gpu1", 0, 2)).size(), 1U);
  EXPECT_EQ(Get(second).tasks[0].pending->reason, PendingReason::kQuota);
}

TEST_F(Scheduling, WrongProjectsAreRefused) {
  EXPECT_EQ(Await(SetProject(*farm_, {.request_id = {}, .project = {.name = "No!"}, .etag = {}}))
                .status()
                .code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(Await(SetProject(*farm_,
                             {.request_id = {}, .project = {.name = "a", .weight = 0}, .etag = {}}))
                .status()
                .code(),
            StatusCode::kInvalidArgument);
  domain::Project negative{.name = "a"};
  negative.max_queued_jobs = -1;
  EXPECT_NE(Await(SetProject(*farm_, {.request_id = {}, .project = negative, .etag = {}}))
                .status()
                .message()
                .find("max_queued_jobs is -1"),
            std::string::npos);
}

TEST_F(Scheduling, ATaskIsLeftForAWhileToAFreeWorkerThatHasItsInputs) {
  SyncRequest has_it = From("near");
  has_it.cached_trees = {Upload("a model")};
  ASSERT_TRUE(Started(has_it).empty());
  ASSERT_TRUE(Submit("1", SpecOf("default")).ok());
  ASSERT_TRUE(Submit("2", SpecOf("default", "another model")).ok());
  const auto far = Ask("far");
  ASSERT_EQ(far.size(), 1U);
  EXPECT_EQ(far[0].inputs.at("model"), Upload("another model"));
  EXPECT_TRUE(Ask("farther").empty());
  Advance(seconds(6));
  EXPECT_EQ(Ask("farther").size(), 1U) << "it did not come";
}

// Two small trees elsewhere do not outweigh the model that is here.
TEST_F(Scheduling, ATaskGoesWhereMostBytesOfItsInputsAre) {
  domain::JobSpec spec = Spec(JobKind::kEvaluate);
  spec.model = Upload(std::string(10'000, 'm'));
  spec.text = Upload("a text");
  spec.questions = Upload("a question");
  SyncRequest has_model = From("model");
  has_model.cached_trees = {spec.model};
  SyncRequest has_texts = From("texts");
  has_texts.cached_trees = {*spec.text, *spec.questions};
  ASSERT_TRUE(Started(has_model).empty());
  ASSERT_TRUE(Started(has_texts).empty());
  ASSERT_TRUE(Submit("1", spec).ok());
  EXPECT_TRUE(Started(has_texts).empty());
  EXPECT_EQ(Started(has_model).size(), 1U);
}

TEST_F(Scheduling, AssignmentsHaveTheClocksOfTheirKind) {
  limits_.policy.by_kind[domain::TaskKind::kConvert] = {
      .lease = seconds(7), .stall = seconds(8), .deadline = seconds(9)};
  Restart();
  ASSERT_TRUE(Submit("1", SpecOf("default")).ok());
  const auto reply = Sync(From("gpu1"));
  ASSERT_EQ(reply->start.size(), 1U);
  EXPECT_EQ(reply->start[0].lease_ms, 7'000);
  EXPECT_EQ(reply->start[0].stall_ms, 8'000);
  EXPECT_EQ(reply->start[0].deadline_ms, 9'000);
  EXPECT_EQ(reply->lease_ms, 7'000);
  EXPECT_EQ(Sync(From("gpu2"))->lease_ms, 30'000);
}

TEST_F(Scheduling, AKilledWorkerThatCallsOnLosesItsTasksAfterTwoMinutes) {
  const JobId job = Submit("r", SpecOf("p"))->id;
  const AttemptId id = Ask("w").at(0).id;
  ASSERT_TRUE(Order("w", domain::WorkerMode::kKilled).ok());
  SyncRequest request =
      From("w", {{.id = id, .progress = {.stage = "pack", .done = 1}, .outcome = {}}});
  for (int i = 0; i < 7; ++i) {
    EXPECT_TRUE(Started(request).empty());
    ASSERT_TRUE(Sweep().ok());
    EXPECT_EQ(Show(job), "convert running; running");
    Advance(seconds(20));
  }
  EXPECT_TRUE(Started(request).empty());
  ASSERT_TRUE(Sweep().ok());
  EXPECT_EQ(Show(job), "convert queued; queued");
  EXPECT_EQ(Sync(request)->stop, std::vector<TaskId>{id.task});
}

TEST_F(Scheduling, TasksOfOneWorkerShareItsMemory) {
  const auto big = [&](const std::string& model, std::int64_t memory) {
    domain::JobSpec spec = SpecOf("p", model);
    spec.requirements = {{"memory_bytes", MatchRule::kMinimum, std::to_string(memory)}};
    ASSERT_TRUE(Submit(model, spec).ok());
  };
  big("first", 40 * kGiB);
  big("second", 30 * kGiB);
  big("third", 20 * kGiB);
  SyncRequest request = From("w");
  request.capabilities.slots = 4;
  request.capabilities.memory_bytes = 64 * kGiB;
  const auto started = Started(request);
  ASSERT_EQ(started.size(), 2U) << "the second has no room beside the first, the third has";
  EXPECT_EQ(started[0].resources.memory_bytes, 40 * kGiB);
  EXPECT_EQ(started[1].resources.memory_bytes, 20 * kGiB);
  EXPECT_EQ(Started(request), started) << "an answer that was lost";
  for (const domain::Assignment& one : started) {
    request.held.push_back({.id = one.id, .progress = {.stage = "pack"}, .outcome = {}});
  }
  EXPECT_TRUE(Started(request).empty());
  request.held[0].outcome = domain::Succeeded{Upload("out")};
  const auto next = Started(request);
  ASSERT_EQ(next.size(), 1U);
  EXPECT_EQ(next[0].resources.memory_bytes, 30 * kGiB);
}

TEST_F(Scheduling, WhatWaitsForRoomIsOvertakenForAWhileOnly) {
  const auto submit = [&](const std::string& model, std::int32_t cpus) {
    domain::JobSpec spec = SpecOf("p", model);
    spec.requirements = {{"cpus", MatchRule::kMinimum, std::to_string(cpus)}};
    ASSERT_TRUE(Submit(model, spec).ok());
  };
  submit("small 1", 2);
  SyncRequest request = From("w");
  request.capabilities.slots = 8;
  request.capabilities.cpus = 8;
  const auto first = Started(request);
  ASSERT_EQ(first.size(), 1U);
  submit("large", 7);
  submit("small 2", 2);
  request.held = {{.id = first[0].id, .progress = {.stage = "pack", .done = 1}, .outcome = {}}};
  const auto second = Started(request);
  ASSERT_EQ(second.size(), 1U);
  EXPECT_EQ(second[0].resources.cpus, 2);
  End(request, second[0].id, domain::Succeeded{Upload("out")});
  for (int minute = 0; minute < 11; ++minute) {  // a call is missed by no lease
    for (int i = 0; i < 3; ++i) {
      Advance(seconds(20));
      ++request.held[0].progress.done;
      EXPECT_TRUE(Started(request).empty());
    }
  }
  submit("small 3", 2);
  EXPECT_TRUE(Started(request).empty()) << "there will be room for the large one";
  request.held[0].outcome = domain::Succeeded{Upload("out")};
  const auto large = Started(request);
  ASSERT_EQ(large.size(), 1U);
  EXPECT_EQ(large[0].resources.cpus, 7);
}

}  // namespace
}  // namespace tyllm::server::core
