// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/child_job.h"

#include <gtest/gtest.h>

#include <csignal>
#include <sstream>
#include <thread>

#include "tests/support/temporary_directory.h"

namespace tyllm::agent {
namespace {

using testing::TemporaryDirectory;

/// A job that is a line of shell; "$0" swallows --progress-fd, which is always 3.
class ChildJobTest : public ::testing::Test {
 protected:
  ChildJob Job(const std::string& script) {
    return {.argv = {"sh", "-c", script}, .log = directory_ / "log", .grace = Milliseconds(300)};
  }

  ChildEnd Run(const std::string& script) {
    return *RunChildJob(
        Job(script), [this](const domain::Progress& p) { progress_.push_back(p); },
        stop_.get_token());
  }

  std::string Log() { return *LocalFileSystem().Read(directory_ / "log"); }

  TemporaryDirectory directory_;
  std::stop_source stop_;
  std::vector<domain::Progress> progress_;
};

TEST_F(ChildJobTest, GivesEveryProgressRecordAndKeepsOutputAndErrorsInTheLog) {
  const ChildEnd end =
      Run(R"(echo hello; echo trouble >&2; echo '{"stage":"a","done":1,"total":2}' >&3; )"
          R"(echo 'no record' >&3; printf '{"stage":"b","done":2' >&3; echo ',"later":true}' >&3)");
  EXPECT_TRUE(end.exit.ok());
  ASSERT_EQ(progress_.size(), 2U);
  EXPECT_EQ(progress_[0].total, 2);
  EXPECT_EQ(end.progress.stage, "b");
  EXPECT_EQ(Log(), "hello\ntrouble\n");
}

TEST_F(ChildJobTest, WhatTheJobSaysThatItUsedIsKeptAndIsNoProgress) {
  const ChildEnd end =
      Run(R"(echo '{"stage":"a"}' >&3; echo '{"used":{"gpu_memory_bytes":7,"later":1}}' >&3; )"
          R"(echo '{"used":"much"}' >&3)");
  EXPECT_EQ(end.used.gpu_memory_bytes, 7);
  EXPECT_EQ(progress_.size(), 1U);
  EXPECT_EQ(end.progress.stage, "a");
}

TEST_F(ChildJobTest, AStopEndsTheWholeGroupEvenIfItRefuses) {
  // Says over the progress pipe that its trap is set; only then is it stopped.
  const auto stop_when_ready = [this](const domain::Progress&) { stop_.request_stop(); };
  const ChildEnd end = *RunChildJob(
      Job(R"(trap '' TERM; sleep 600 & echo '{"stage":"ready"}' >&3; while :; do sleep 600; done)"),
      stop_when_ready, stop_.get_token());
  EXPECT_TRUE(end.stopped);
  EXPECT_EQ(end.exit.signal, SIGKILL);
}

TEST_F(ChildJobTest, AJobThatEndsByItselfWhenToldIsNotKilled) {
  const auto stop_when_ready = [this](const domain::Progress&) { stop_.request_stop(); };
  ChildJob job =
      Job(R"(trap 'exit 9' TERM; echo '{"stage":"ready"}' >&3; while :; do sleep 0.05; done)");
  job.grace = Milliseconds(60'000);
  const ChildEnd end = *RunChildJob(job, stop_when_ready, stop_.get_token());
  EXPECT_TRUE(end.stopped);
  EXPECT_EQ(end.exit.code, 9);
}

TEST_F(ChildJobTest, HurryCutsTheGraceShort) {
  std::stop_source hurry;
  const auto stop_when_ready = [&](const domain::Progress&) {
    stop_.request_stop();
    hurry.request_stop();
  };
  ChildJob job = Job(R"(trap '' TERM; echo '{"stage":"ready"}' >&3; while :; do sleep 600; done)");
  job.grace = Milliseconds(600'000);
  job.at_once = hurry.get_token();
  EXPECT_EQ(RunChildJob(job, stop_when_ready, stop_.get_token())->exit.signal, SIGKILL);
}

TEST_F(ChildJobTest, AProcessThatLeftTheGroupWithThePipeDoesNotHoldUpTheEnd) {
  const ChildEnd end = Run("setsid sleep 30 & exit 4");
  EXPECT_EQ(end.exit.code, 4);
}

TEST_F(ChildJobTest, WhatLeftTheGroupAndGoesOnWritingDoesNotOutliveTheJob) {
  // A grandchild, too, which nobody has adopted yet when the job ends.
  const std::string pids = (directory_ / "pids").string();
  const ChildEnd end = Run("setsid sh -c 'setsid sh -c \"echo \\$\\$ >> " + pids +
                           "; while :; do echo more; done\" & echo $$ >> " + pids +
                           "; while :; do echo more; done' & while [ \"$(wc -l < " + pids +
                           ")\" != 2 ]; do sleep 0.01; done 2> /dev/null; exit 4");
  EXPECT_EQ(end.exit.code, 4);
  std::istringstream written(*LocalFileSystem().Read(pids));
  int processes = 0;
  for (pid_t process = 0; written >> process; ++processes) {
    EXPECT_EQ(::kill(process, 0), -1) << process << " is still there";
  }
  EXPECT_EQ(processes, 2);
}

TEST_F(ChildJobTest, AJobsLogKeepsItsBeginningAndSaysWhatIsMissing) {
  ChildJob job = Job("seq 1 100000; echo error: too much >&2; exit 3");
  job.log_limit = 100;
  const auto end = RunChildJob(job, [](const domain::Progress&) {}, stop_.get_token());
  EXPECT_EQ(end->exit.code, 3) << "the job goes on";
  const std::string log = Log();
  EXPECT_LT(log.size(), 4096U);
  EXPECT_TRUE(log.starts_with("1\n2\n3\n")) << log;
  EXPECT_NE(log.find("100 bytes (job_log_bytes); what follows is left out"), std::string::npos);
  EXPECT_NE(log.find(" bytes were left out"), std::string::npos);
  EXPECT_TRUE(log.ends_with("100000\nerror: too much\n")) << log;
}

TEST_F(ChildJobTest, TheProcessIsToldWhileItRuns) {
  ChildJob job = Job("exit 0");
  pid_t process = 0;
  job.on_start = [&](pid_t pid) { process = pid; };
  ASSERT_TRUE(RunChildJob(job, [](const domain::Progress&) {}, stop_.get_token()).ok());
  EXPECT_GT(process, 0);
}

TEST_F(ChildJobTest, AProgramThatIsNotThereIsAnErrorThatNamesIt) {
  ChildJob job = Job("");
  job.argv = {"/no/such/tyllm"};
  const Status status =
      RunChildJob(job, [](const domain::Progress&) {}, stop_.get_token()).status();
  EXPECT_NE(status.message().find("/no/such/tyllm"), std::string::npos);
}

}  // namespace
}  // namespace tyllm::agent
