// SPDX-License-Identifier: Apache-2.0
#include "client/cli/show.h"

#include <gtest/gtest.h>

#include "client/cli/show_explanation.h"
#include "client/cli/start_options.h"

namespace tyllm::client {
namespace {

domain::JobView FailedJob() {
  domain::JobView job;
  job.id = {42};
  job.spec.kind = domain::JobKind::kQuantize;
  job.spec.name = "demo";
  job.state = domain::JobState::kFailed;
  domain::TaskView task;
  task.id = {7};
  task.label = "quantize";
  task.state = domain::TaskState::kFailed;
  task.attempt = 2;
  task.worker = "gpu1";
  task.started_unix_ms = 1000;
  task.ended_unix_ms = 4500;
  task.failure = domain::Failure{.blame = domain::Blame::kModel,
                                 .reason = "NAN_WEIGHT",
                                 .message = "layer 3 holds NaN",
                                 .log_tail = "a\nb\n"};
  job.tasks.push_back(task);
  job.failure = task.failure;
  return job;
}

TEST(Describe, AFailedJobSaysWhatFailedWhereAndWhoIsToBlame) {
  const std::string text = Describe(FailedJob());
  for (const char* part : {"j42", "quantize", "failed", "t7", "gpu1", "3.5s", "layer 3 holds NaN",
                           "blame: model", "NAN_WEIGHT", "  | a\n  | b\n"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " is not in\n" << text;
  }
}

TEST(Describe, AJobSaysWhoseItIsAndWhenItsTurnIs) {
  domain::JobView job = FailedJob();
  job.project = "vision";
  job.priority = -7;
  job.spec.job_class = domain::JobClass::kInteractive;
  const std::string text = Describe(job);
  EXPECT_NE(text.find("project vision, priority -7, interactive\n"), std::string::npos) << text;
}

TEST(Describe, AJobSaysWhoSubmittedItAndWhenItIsGivenUp) {
  domain::JobView job = FailedJob();
  EXPECT_EQ(Describe(job).find("submitted by"), std::string::npos) << Describe(job);
  EXPECT_EQ(Describe(job).find("given up"), std::string::npos) << Describe(job);
  job.submitted_by = "ada\x1b[2J";
  job.start_by_unix_ms = 1'000'000;
  EXPECT_NE(Describe(job).find("submitted by ada?[2J\n"), std::string::npos) << Describe(job);
  EXPECT_NE(Describe(job).find("is given up at 1970-01-01 "), std::string::npos) << Describe(job);
}

TEST(Describe, AListHasAColumnForSubmittersWhereOneHasAName) {
  std::vector<domain::JobView> jobs = {FailedJob(), FailedJob()};
  EXPECT_EQ(Describe(jobs).find("  by\n"), std::string::npos) << Describe(jobs);
  jobs[1].submitted_by = "ada";
  EXPECT_NE(Describe(jobs).find("  by\n"), std::string::npos) << Describe(jobs);
  EXPECT_NE(Describe(jobs).find("  ada\n"), std::string::npos) << Describe(jobs);
  EXPECT_NE(Describe(jobs).find("  -\n"), std::string::npos) << Describe(jobs);
}

TEST(StartOptions, ATimeIsANumberWithAUnit) {
  EXPECT_EQ(*ParseTimeSpan("90"), 90'000);
  EXPECT_EQ(*ParseTimeSpan("90s"), 90'000);
  EXPECT_EQ(*ParseTimeSpan("10m"), 600'000);
  EXPECT_EQ(*ParseTimeSpan("2h"), 7'200'000);
  EXPECT_EQ(*ParseTimeSpan("365d"), domain::kLongestStartWithinMs);
  for (const char* wrong : {"", "m", "0", "-5s", "10 m", "10min", "1.5h", "366d",
                            "9223372036854775807d", "99999999999999999999s"}) {
    EXPECT_EQ(ParseTimeSpan(wrong).status().code(), StatusCode::kInvalidArgument) << wrong;
  }
}

TEST(Describe, AFailureSaysHowItEndedAndWhatToDo) {
  domain::Failure failure{.blame = domain::Blame::kWorker,
                          .reason = "OUT_OF_MEMORY",
                          .message = "the machine's memory ran out",
                          .stage = "pack",
                          .exit_code = 0,
                          .signal = 9,
                          .log_tail = "last\n"};
  failure.out_of_memory = domain::MemoryKind::kHost;
  failure.action = "give the worker fewer slots";
  failure.worker = "gpu1";
  failure.attempt = 2;
  EXPECT_EQ(Describe(failure),
            "OUT_OF_MEMORY (blame: worker): the machine's memory ran out\n"
            "attempt 2 on gpu1, in stage pack, signal 9, out of memory (host)\n"
            "what to do: give the worker fewer slots\n"
            "last lines of the log:\n  | last\n");
  failure = {.blame = domain::Blame::kUser, .reason = "REFUSED", .message = "no", .exit_code = 7};
  EXPECT_EQ(Describe(failure), "REFUSED (blame: user): no\nexit code 7\n");
}

TEST(Describe, AWorkerSaysWhichToolsItHas) {
  domain::WorkerView worker;
  worker.name = "gpu1";
  EXPECT_NE(Describe(std::vector{worker}).find("toolchain  tools  tasks"), std::string::npos);
  worker.capabilities.tools = {{"sim-x86_64", "g++ 12"}, {"tytvm", "1.4"}};
  EXPECT_NE(Describe(std::vector{worker}).find("  sim-x86_64,tytvm  "), std::string::npos);
}

TEST(Describe, TextFromElsewhereCannotMoveTheTerminalsCursor) {
  domain::JobView job = FailedJob();
  job.spec.name = "x\x1b[2Jy";
  job.tasks[0].worker = "w\r\x07";
  const std::string text = Describe(job);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_EQ(text.find('\r'), std::string::npos);
}

TEST(Describe, AnExplanationNamesKeysAttemptsAndDecisions) {
  domain::JobExplanation explanation;
  explanation.job = FailedJob();
  domain::TaskExplanation task;
  task.task = explanation.job.tasks[0];
  task.needs = {"quantize"};
  task.action_key = "abc";
  task.cache = domain::CacheUse::kMiss;
  domain::AttemptRecord attempt;
  attempt.attempt = 1;
  attempt.worker = "gpu1";
  attempt.ending = domain::Ending::kLeaseLost;
  task.attempts = {attempt};
  task.task.checkpoint = domain::Checkpoint{.stage = "calibrate", .done = 3, .total = 28};
  task.decisions = {{.unix_ms = 1, .text = "goes to gpu1"}};
  explanation.tasks = {task};
  const std::string text = Describe(explanation);
  for (const char* part :
       {"takes the output of quantize", "cache: miss, key abc", "attempt 1 on gpu1: lease_lost",
        "decided: goes to gpu1", "unfinished work: calibrate 3 of 28"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " is not in\n" << text;
  }
}

TEST(WarningOf, AJobThatNoWorkerCanTakeSaysWhatIsAskedForAndWhatIsThere) {
  domain::JobView job = FailedJob();
  EXPECT_EQ(WarningOf(job), "");
  job.tasks[0].pending = domain::Pending{
      .reason = domain::PendingReason::kNoWorker,
      .message = "none of 2 workers",
      .shortfalls = {{{"gpu_memory_bytes", domain::MatchRule::kMinimum, "80"}, "40"},
                     {{"label.zone", domain::MatchRule::kExact, "moon"}, ""}}};
  EXPECT_EQ(WarningOf(job),
            "warning: quantize waits (no_worker): none of 2 workers; asked for "
            "gpu_memory_bytes>=80 (best on offer: 40), label.zone=moon (no worker states it)\n");
  job.tasks[0].pending->reason = domain::PendingReason::kBusy;
  EXPECT_EQ(WarningOf(job), "") << "that passes by itself";
}

TEST(Table, ColumnsLineUp) {
  EXPECT_EQ(Table({{"a", "bb", "c"}, {"aaa", "b", "cc"}}), "a    bb  c\naaa  b   cc\n");
}

TEST(Units, AreReadable) {
  EXPECT_EQ(Bytes(512), "512 B");
  EXPECT_EQ(Bytes(8'399'120), "8.4 MB");
  EXPECT_EQ(Bytes(999'999), "1.0 MB");
  EXPECT_EQ(Duration(3'400), "3.4s");
  EXPECT_EQ(Duration(125'000), "2m05s");
  EXPECT_EQ(Duration(3'725'000), "1h02m");
}

TEST(Progress, SaysHowFarAndInWhichUnit) {
  EXPECT_EQ(Describe(domain::Progress{"quantize", 3, 8, "layers", ""}), "quantize 3 of 8 layers");
  EXPECT_EQ(Describe(domain::Progress{"fetch", 1'500'000, 3'000'000, "bytes", ""}),
            "fetch 1.5 MB of 3.0 MB");
  EXPECT_EQ(Describe(domain::Progress{"pack", 0, 0, "", "die 2"}), "pack (die 2)");
  EXPECT_EQ(Describe(domain::Progress{}), "");
}

}  // namespace
}  // namespace tyllm::client
