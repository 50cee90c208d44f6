// SPDX-License-Identifier: Apache-2.0
#include "tests/server/core/await.h"

namespace tyllm::server::core {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

domain::Failure Crash() {
  return {.blame = domain::Blame::kToolchain,
          .reason = "CRASHED",
          .message = "signal 11",
          .stage = "pack",
          .signal = 11,
          .retryable = true,
          .log_tail = {}};
}

class SyncWorkerTest : public FarmFixture {
 protected:
  JobId SubmitConvert() { return Submit("r", Spec(JobKind::kConvert))->id; }

  HeldAttempt Running(const AttemptId& id, std::int64_t done = 0) {
    return {.id = id, .progress = {.stage = "pack", .done = done, .total = 9}, .outcome = {}};
  }
};

TEST_F(SyncWorkerTest, AnIdleWorkerGetsTheTaskWithItsSpecInputsAndTimes) {
  const domain::JobSpec spec = Spec(JobKind::kConvert);
  ASSERT_TRUE(Submit("r", spec).ok());
  const auto started = Ask("gpu1");
  ASSERT_EQ(started.size(), 1U);
  EXPECT_EQ(started[0].label, "convert");
  EXPECT_EQ(started[0].id, (AttemptId{TaskId{1}, 1}));
  EXPECT_EQ(started[0].spec.kind, domain::TaskKind::kConvert);
  EXPECT_EQ(started[0].inputs.at("model"), spec.model);
  EXPECT_EQ(started[0].lease_ms, 30'000);
  EXPECT_TRUE(Ask("gpu2").empty());
}

TEST_F(SyncWorkerTest, ASuccessIsRecordedAndTheSameAnswerBringsTheNextTask) {
  const JobId job = Submit("r", Spec(JobKind::kCompile))->id;
  const AttemptId die = Ask("gpu1").at(0).id;
  const SyncReply reply = Report("gpu1", die, domain::Succeeded{Upload("die")});
  EXPECT_EQ(reply.acknowledged, std::vector<TaskId>{die.task});
  ASSERT_EQ(reply.start.size(), 1U);
  EXPECT_EQ(reply.start[0].label, "assemble");
  EXPECT_EQ(reply.start[0].inputs.at("die0"), Upload("die"));
  EXPECT_EQ(Show(job), "compile.die0 succeeded, assemble running; running");
  Report("gpu1", reply.start[0].id, domain::Succeeded{Upload("all")});
  EXPECT_EQ(Get(job).outputs.at("artifact"), Upload("all"));
}

TEST_F(SyncWorkerTest, ALostAnswerIsGivenAgain) {
  SubmitConvert();
  const auto first = Ask("gpu1");
  EXPECT_EQ(Ask("gpu1"), first);
  const domain::Succeeded success{Upload("out")};
  Report("gpu1", first[0].id, success);
  EXPECT_EQ(Report("gpu1", first[0].id, success).acknowledged,
            std::vector<TaskId>{first[0].id.task});
}

TEST_F(SyncWorkerTest, ASuccessWaitsForEveryBlobAndLogByte) {
  const JobId job = SubmitConvert();
  const AttemptId id = Ask("gpu1").at(0).id;
  const format::Tree tree{{{.path = "f", .blob = {DigestOf(std::string_view("later")), 5}}}};
  const BlobId output{format::IdOf(tree)};
  HeldAttempt held{.id = id, .progress = {}, .log_bytes = 3, .outcome = domain::Succeeded{output}};
  EXPECT_TRUE(Sync(From("gpu1", {held}))->acknowledged.empty());
  ASSERT_TRUE(Append({.id = id, .from = {"gpu1", "s1"}, .offset = 0, .data = "abc"}).ok());
  EXPECT_TRUE(Sync(From("gpu1", {held}))->acknowledged.empty());
  ASSERT_TRUE(blobs_->WriteSmall(format::ToText(tree)).ok());
  EXPECT_TRUE(Sync(From("gpu1", {held}))->acknowledged.empty());
  EXPECT_EQ(Get(job).state, JobState::kRunning);
  ASSERT_TRUE(blobs_->WriteSmall("later").ok());
  EXPECT_EQ(Sync(From("gpu1", {held}))->acknowledged.size(), 1U);
  EXPECT_EQ(Get(job).state, JobState::kSucceeded);
}

TEST_F(SyncWorkerTest, AnOutputThatIsNoTreeIsTheWorkersFailure) {
  const JobId job = SubmitConvert();
  const AttemptId id = Ask("gpu1").at(0).id;
  Report("gpu1", id, domain::Succeeded{*blobs_->WriteSmall("no tree")});
  EXPECT_EQ(Get(job).tasks[0].failure->reason, "BAD_OUTPUT");
  EXPECT_EQ(Get(job).tasks[0].state, TaskState::kQueued);
}

TEST_F(SyncWorkerTest, AFailureIsTriedAgainAfterAWhileAndThenGivenUp) {
  const JobId job = SubmitConvert();
  for (int attempt = 1; attempt <= 3; ++attempt) {
    Advance(minutes(1));
    const auto started = Ask("gpu1");
    ASSERT_EQ(started.size(), 1U) << attempt;
    EXPECT_EQ(started[0].id.attempt, attempt);
    const SyncReply reply = Report("gpu1", started[0].id, Crash());
    EXPECT_EQ(reply.acknowledged.size(), 1U);
    EXPECT_TRUE(reply.start.empty()) << "there is a pause";
  }
  EXPECT_EQ(Get(job).state, JobState::kFailed);
  EXPECT_EQ(Get(job).failure->reason, "CRASHED");
  EXPECT_EQ(Get(job).failure->signal, 11);
}

TEST_F(SyncWorkerTest, AWaitIsCountedOnceAndWithoutThePauseAfterAFailure) {
  const std::string waits = "tyllm_queue_wait_seconds";
  SubmitConvert();
  Advance(seconds(7));
  const AttemptId first = Ask("gpu1").at(0).id;
  ASSERT_EQ(Ask("gpu1").size(), 1U) << "the answer was lost";
  EXPECT_EQ(Counted("tyllm_attempts_started_total"), "1");
  EXPECT_EQ(Counted(waits + "_count{kind=\"convert\"}"), "1");
  EXPECT_EQ(Counted(waits + "_sum{kind=\"convert\"}"), "7");
  Report("gpu1", first, Crash());
  Advance(seconds(10));  // of which the pause is 5 s, and up to a quarter more
  ASSERT_EQ(Ask("gpu1").size(), 1U);
  EXPECT_EQ(Counted(waits + "_count{kind=\"convert\"}"), "2");
  const double sum = std::stod(Counted(waits + "_sum{kind=\"convert\"}"));
  EXPECT_GE(sum, 7 + 3.75);
  EXPECT_LE(sum, 7 + 5.0);
}

TEST_F(SyncWorkerTest, StagesAreCountedOnceOfWhatSucceeded) {
  const std::string stages = "tyllm_stage_seconds";
  SubmitConvert();
  AttemptId id = Ask("gpu1").at(0).id;
  HeldAttempt held{.id = id, .progress = {}, .outcome = Crash()};
  held.stages = {{"fetch", 1000}, {"convert", 2000}};
  ASSERT_TRUE(Sync(From("gpu1", {held})).ok());
  EXPECT_EQ(Counted(stages + "_count{kind=\"convert\",stage=\"fetch\"}"), "absent");
  Advance(minutes(1));
  held.id = Ask("gpu1").at(0).id;
  held.outcome = domain::Succeeded{Upload("out")};
  held.stages = {{"fetch", 1500}, {"convert", -1}, {"../../x", 1}, {"x\n", 1}};
  held.log_bytes = 1;
  ASSERT_TRUE(Sync(From("gpu1", {held})).ok());
  EXPECT_EQ(Counted(stages + "_count{kind=\"convert\",stage=\"fetch\"}"), "absent")
      << "the log is not there yet, so it is reported again";
  ASSERT_TRUE(Append({.id = held.id, .from = {"gpu1", "s1"}, .offset = 0, .data = "x"}).ok());
  ASSERT_TRUE(Sync(From("gpu1", {held})).ok());
  ASSERT_TRUE(Sync(From("gpu1", {held})).ok()) << "the answer was lost";
  EXPECT_EQ(Counted(stages + "_count{kind=\"convert\",stage=\"fetch\"}"), "1");
  EXPECT_EQ(Counted(stages + "_sum{kind=\"convert\",stage=\"fetch\"}"), "1.5");
  EXPECT_EQ(Counted(stages + "_sum{kind=\"convert\",stage=\"convert\"}"), "0");
  EXPECT_EQ(Counted(stages + "_count{kind=\"convert\",stage=\"other\"}"), "2");
}

TEST_F(SyncWorkerTest, ProgressIsShownWhileTheTaskRuns) {
  const JobId job = SubmitConvert();
  const AttemptId id = Ask("gpu1").at(0).id;
  ASSERT_TRUE(Sync(From("gpu1", {Running(id, 4)})).ok());
  EXPECT_EQ(Get(job).tasks[0].progress.done, 4);
}

TEST_F(SyncWorkerTest, ALeaseIsKeptByCallsAndLostWithoutThem) {
  const JobId job = SubmitConvert();
  const AttemptId id = Ask("gpu1").at(0).id;
  for (int i = 0; i < 5; ++i) {
    Advance(seconds(29));
    EXPECT_TRUE(Sync(From("gpu1", {Running(id, i)}))->stop.empty());
    ASSERT_TRUE(Sweep().ok());
  }
  Advance(seconds(46));
  ASSERT_TRUE(Sweep().ok());
  EXPECT_EQ(Show(job), "convert queued; queued");
  EXPECT_EQ(Get(job).tasks[0].failure->reason, "LEASE_LOST");
  EXPECT_EQ(Counted("tyllm_attempts_lost_total{reason=\"lease_lost\"}"), "1");
}

TEST_F(SyncWorkerTest, AStaleAttemptIsStoppedAndItsResultRefused) {
  const JobId job = SubmitConvert();
  const AttemptId first = Ask("gpu1").at(0).id;
  Advance(minutes(1));
  ASSERT_TRUE(Sweep().ok());
  const AttemptId second = Ask("gpu2").at(0).id;
  EXPECT_EQ(second.attempt, 2);
  EXPECT_EQ(Sync(From("gpu1", {Running(first)}))->stop, std::vector<TaskId>{first.task});
  const SyncReply reply = Report("gpu1", first, domain::Succeeded{Upload("stale")});
  EXPECT_EQ(reply.stop, std::vector<TaskId>{first.task});
  EXPECT_EQ(reply.acknowledged, std::vector<TaskId>{first.task});
  EXPECT_EQ(Show(job), "convert running; running");
  EXPECT_EQ(Append({.id = first, .from = {"gpu1", "s1"}, .data = "x"}).status().code(),
            StatusCode::kAborted);
  Report("gpu2", second, domain::Succeeded{Upload("fresh")});
  EXPECT_EQ(Get(job).outputs.at("model"), Upload("fresh"));
  EXPECT_EQ(Counted("tyllm_fenced_calls_total{method=\"WorkerService.Sync\"}"), "2");
  EXPECT_EQ(Counted("tyllm_fenced_calls_total{method=\"WorkerService.AppendLog\"}"), "1");
}

TEST_F(SyncWorkerTest, AnAttemptThatEndedAMomentAgoIsNotRecordedThoughTheServerRemembersIt) {
  const JobId job = SubmitConvert();
  const AttemptId id = Ask("gpu1").at(0).id;
  ASSERT_TRUE(Sync(From("gpu1", {Running(id)})).ok());
  const Status ended = Await(store_->Run([&](store::Queue& queue) {
    sched::Verdict verdict;
    verdict.again = true;
    verdict.delay = hours(1);
    return queue.EndAttempt(id, sched::Ending::kLeaseLost, verdict, clock_.UnixMillis());
  }));
  ASSERT_TRUE(ended.ok()) << ended.ToString();
  EXPECT_EQ(Sync(From("gpu1", {Running(id)}))->stop, std::vector<TaskId>{id.task});
  const std::string fenced = "tyllm_fenced_calls_total{method=\"WorkerService.Sync\"}";
  EXPECT_EQ(Counted(fenced), "0");
  EXPECT_EQ(Report("gpu1", id, domain::Succeeded{Upload("late")}).acknowledged,
            std::vector<TaskId>{id.task});
  EXPECT_EQ(Counted(fenced), "1");
  EXPECT_EQ(Counted("tyllm_attempts_ended_total{outcome=\"succeeded\"}"), "0");
  EXPECT_EQ(Show(job), "convert queued; queued");
}

TEST_F(SyncWorkerTest, AnAttemptOfAnotherWorkerCannotBeEnded) {
  const JobId job = SubmitConvert();
  const AttemptId id = Ask("gpu1").at(0).id;
  Report("gpu2", id, domain::Succeeded{Upload("forged")});
  EXPECT_EQ(Show(job), "convert running; running");
}

TEST_F(SyncWorkerTest, NoProgressIsAStallAndTooMuchTimeADeadline) {
  const JobId job = SubmitConvert();
  AttemptId id = Ask("gpu1").at(0).id;
  const auto live_for = [&](Milliseconds time, bool progresses) {
    for (Milliseconds past(0); past < time; past += seconds(20)) {
      Advance(seconds(20));
      ASSERT_TRUE(Sync(From("gpu1", {Running(id, progresses ? past.count() : 0)})).ok());
    }
    ASSERT_TRUE(Sweep().ok());
  };
  live_for(minutes(29), false);
  EXPECT_EQ(Get(job).tasks[0].state, TaskState::kLeased);
  live_for(minutes(2), false);
  EXPECT_EQ(Get(job).tasks[0].failure->reason, "STALLED");
  EXPECT_NE(Get(job).tasks[0].failure->message.find("stage 'pack'"), std::string::npos);
  Advance(minutes(1));
  id = Ask("gpu1").at(0).id;
  Advance(seconds(1));
  farm_->attempts.Heard(id, {.stage = "pack", .done = 1}, clock_.Now() + hours(13));
  Advance(hours(12));
  ASSERT_TRUE(Sweep().ok());
  EXPECT_EQ(Get(job).tasks[0].failure->reason, "DEADLINE");
}

TEST_F(SyncWorkerTest, ATaskThatLosesThreeWorkersFails) {
  const JobId job = SubmitConvert();
  for (const char* worker : {"a", "b", "c"}) {
    ASSERT_EQ(Ask(worker).size(), 1U) << worker;
    Advance(minutes(1));
    ASSERT_TRUE(Sweep().ok());
  }
  EXPECT_EQ(Get(job).state, JobState::kFailed);
  EXPECT_EQ(Get(job).failure->reason, "LEASE_LOST");
  EXPECT_EQ(Get(job).failure->blame, domain::Blame::kWorker);
}

TEST_F(SyncWorkerTest, AWorkerDoesNotGetBackWhatItLostWhileAnotherIsThere) {
  SubmitConvert();
  ASSERT_EQ(Ask("a").size(), 1U);
  Advance(minutes(1));
  ASSERT_TRUE(Sweep().ok());
  ASSERT_TRUE(Order("a", domain::WorkerMode::kActive).ok());
  SyncRequest busy = From("b");
  busy.capabilities.slots = 0;
  ASSERT_TRUE(Sync(busy).ok());
  EXPECT_TRUE(Ask("a").empty());
  EXPECT_EQ(Ask("b").size(), 1U);
}

TEST_F(SyncWorkerTest, ACancelledTaskIsStoppedAndTheJobFollows) {
  const JobId job = SubmitConvert();
  const AttemptId id = Ask("gpu1").at(0).id;
  ASSERT_TRUE(Sync(From("gpu1", {Running(id)})).ok());
  EXPECT_EQ(Cancel(job)->state, JobState::kCancelling);
  EXPECT_EQ(Sync(From("gpu1", {Running(id)}))->stop, std::vector<TaskId>{id.task});
  EXPECT_EQ(Report("gpu1", id, domain::Stopped{}).acknowledged, std::vector<TaskId>{id.task});
  EXPECT_EQ(Show(job), "convert cancelled; cancelled");
  EXPECT_EQ(Cancel(job)->state, JobState::kCancelled);
}

TEST_F(SyncWorkerTest, AWorkerThatDoesNotStopHoldsUpACancellationForTwoMinutesOnly) {
  const JobId job = SubmitConvert();
  const AttemptId id = Ask("gpu1").at(0).id;
  ASSERT_TRUE(Cancel(job).ok());
  for (int i = 0; i < 7; ++i) {
    ASSERT_TRUE(Sync(From("gpu1", {Running(id, i)})).ok());
    ASSERT_TRUE(Sweep().ok());
    EXPECT_EQ(Get(job).state, JobState::kCancelling);
    Advance(seconds(20));
  }
  ASSERT_TRUE(Sync(From("gpu1", {Running(id)})).ok());
  ASSERT_TRUE(Sweep().ok());
  EXPECT_EQ(Get(job).state, JobState::kCancelled);
}

TEST_F(SyncWorkerTest, AnAssignmentThatWasCancelledBeforeTheWorkerHeardOfItIsOver) {
  const JobId job = SubmitConvert();
  ASSERT_EQ(Ask("gpu1").size(), 1U);
  ASSERT_TRUE(Cancel(job).ok());
  EXPECT_TRUE(Ask("gpu1").empty());
  EXPECT_EQ(Get(job).state, JobState::kCancelled);
}

TEST_F(SyncWorkerTest, ARestartedWorkerLosesWhatItDoesNotName) {
  const JobId job = SubmitConvert();
  ASSERT_EQ(Ask("gpu1").size(), 1U);
  const auto reply = Sync(From("gpu1", {}, "s2"));
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(Get(job).tasks[0].attempt, 2) << "lost, and nobody else is there to take it";
  ASSERT_EQ(reply->start.size(), 1U);
  EXPECT_EQ(reply->start[0].id.attempt, 2);
  EXPECT_EQ(Sync(From("gpu1", {}, "s1")).status().code(), StatusCode::kAborted);
}

TEST_F(SyncWorkerTest, ARestartedWorkerMayGoOnWithWhatItNames) {
  const JobId job = SubmitConvert();
  const AttemptId id = Ask("gpu1").at(0).id;
  const auto reply = Sync(From("gpu1", {Running(id)}, "s2"));
  ASSERT_TRUE(reply.ok());
  EXPECT_TRUE(reply->stop.empty());
  EXPECT_EQ(Get(job).tasks[0].attempt, 1);
}

TEST_F(SyncWorkerTest, RunningAttemptsSurviveARestartOfTheServer) {
  const JobId job = SubmitConvert();
  const AttemptId id = Ask("gpu1").at(0).id;
  Advance(minutes(10));
  Restart();
  ASSERT_TRUE(Sweep().ok());
  EXPECT_EQ(Show(job), "convert running; running");
  EXPECT_TRUE(Sync(From("gpu1", {Running(id)}))->stop.empty());
  EXPECT_EQ(Report("gpu1", id, domain::Succeeded{Upload("out")}).acknowledged.size(), 1U);
  Restart();
  EXPECT_EQ(Get(job).state, JobState::kSucceeded);
}

TEST_F(SyncWorkerTest, AfterARestartAWorkerThatIsGoneLosesItsLeaseInTime) {
  const JobId job = SubmitConvert();
  ASSERT_EQ(Ask("gpu1").size(), 1U);
  Restart();
  Advance(seconds(46));
  ASSERT_TRUE(Sweep().ok());
  EXPECT_EQ(Get(job).tasks[0].failure->reason, "LEASE_LOST");
}

TEST_F(SyncWorkerTest, AWorkerThatDrainsGetsNothingAndHandsBackAtNoCost) {
  const JobId job = SubmitConvert();
  SyncRequest draining = From("gpu1");
  draining.draining = true;
  EXPECT_TRUE(Sync(draining)->start.empty());
  const AttemptId id = Ask("gpu1").at(0).id;
  draining.held = {{.id = id, .progress = {}, .outcome = domain::Stopped{}}};
  EXPECT_EQ(Sync(draining)->acknowledged.size(), 1U);
  EXPECT_EQ(Show(job), "convert queued; queued");
  ASSERT_TRUE(Order("gpu2", domain::WorkerMode::kCordoned).code() == StatusCode::kNotFound);
  ASSERT_TRUE(Order("gpu1", domain::WorkerMode::kCordoned).ok());
  EXPECT_TRUE(Ask("gpu1").empty());
  ASSERT_TRUE(Order("gpu1", domain::WorkerMode::kActive).ok());
  EXPECT_EQ(Ask("gpu1").size(), 1U);
}

TEST_F(SyncWorkerTest, OrdersOfAPersonComeWithTheNextAnswer) {
  const JobId job = SubmitConvert();
  const AttemptId id = Ask("gpu1").at(0).id;
  ASSERT_TRUE(Order("gpu1", domain::WorkerMode::kKilled).ok());
  const auto reply = Sync(From("gpu1", {Running(id)}));
  EXPECT_EQ(reply->order.mode, domain::WorkerMode::kKilled);
  EXPECT_EQ(reply->order.reason, "as the test says");
  const auto after = Sync(From("gpu1", {{.id = id, .progress = {}, .outcome = domain::Stopped{}}}));
  EXPECT_EQ(after->acknowledged.size(), 1U);
  EXPECT_TRUE(after->start.empty());
  EXPECT_EQ(Show(job), "convert queued; queued");
  SyncRequest next = From("gpu1", {}, "s2");
  next.wait_ms = 0;
  EXPECT_EQ(Sync(next)->order.mode, domain::WorkerMode::kCordoned);
}

TEST_F(SyncWorkerTest, SlotsLimitWhatAWorkerHolds) {
  ASSERT_TRUE(Submit("r", Spec(JobKind::kCompile, 4)).ok());
  SyncRequest request = From("gpu1");
  request.capabilities.slots = 3;
  const auto reply = Sync(request);
  EXPECT_EQ(reply->start.size(), 3U);
  request.held = {Running(reply->start[0].id), Running(reply->start[1].id),
                  Running(reply->start[2].id)};
  EXPECT_TRUE(Sync(request)->start.empty());
  EXPECT_EQ(Ask("gpu2").size(), 1U);
}

TEST_F(SyncWorkerTest, WhileOneOutputIsOnItsWayTheNextTaskBegins) {
  ASSERT_TRUE(Submit("r", Spec(JobKind::kCompile, 4)).ok());
  SyncRequest request = From("gpu1");
  request.capabilities.slots = 1;
  const std::vector<domain::Assignment> first = Sync(request)->start;
  ASSERT_EQ(first.size(), 1U);
  request.held = {Running(first[0].id)};
  EXPECT_TRUE(Sync(request)->start.empty());
  request.held[0].sending = true;
  const std::vector<domain::Assignment> second = Sync(request)->start;
  ASSERT_EQ(second.size(), 1U);
  EXPECT_NE(second[0].id, first[0].id);
  // One at a time: whose outputs do not get through does not go on for ever.
  request.held.push_back(Running(second[0].id));
  EXPECT_TRUE(Sync(request)->start.empty());
  request.held[1].sending = true;
  EXPECT_TRUE(Sync(request)->start.empty());
}

TEST_F(SyncWorkerTest, WhatIsOnItsWayNeedsNoMemory) {
  domain::JobSpec spec = Spec(JobKind::kCompile, 4);
  spec.requirements = {{"memory_bytes", domain::MatchRule::kMinimum, "6000000000"}};
  ASSERT_TRUE(Submit("r", spec).ok());
  SyncRequest request = From("gpu1");
  request.capabilities.slots = 2;
  request.capabilities.memory_bytes = 8'000'000'000;
  const std::vector<domain::Assignment> first = Sync(request)->start;
  ASSERT_EQ(first.size(), 1U);
  request.held = {Running(first[0].id)};
  EXPECT_TRUE(Sync(request)->start.empty());
  request.held[0].sending = true;
  EXPECT_EQ(Sync(request)->start.size(), 1U);
}

TEST_F(SyncWorkerTest, MalformedCallsNameWhatIsWrong) {
  EXPECT_EQ(Sync(From("")).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Sync(From("two words")).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Sync(From("a", {}, "")).status().code(), StatusCode::kInvalidArgument);
  SyncRequest request = From("a");
  request.capabilities.slots = -1;
  EXPECT_NE(Sync(request).status().message().find("slots"), std::string::npos);
}

}  // namespace
}  // namespace tyllm::server::core
