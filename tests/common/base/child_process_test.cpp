// SPDX-License-Identifier: Apache-2.0
#include "common/base/child_process.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include "tests/support/temporary_directory.h"

namespace tyllm {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(RunCommand, GivesOutputErrorsAndExitCode) {
  const CommandOutcome outcome =
      *RunCommand({.argv = {"sh", "-c", "echo out; echo err >&2; exit 3"}}, seconds(20));
  EXPECT_EQ(outcome.exit.code, 3);
  EXPECT_EQ(outcome.output, "out\nerr\n");
}

TEST(RunCommand, PassesEnvironmentAndDirectory) {
  const CommandOutcome outcome = *RunCommand({.argv = {"sh", "-c", "echo $TYLLM_TEST; pwd"},
                                              .environment = {"TYLLM_TEST=7"},
                                              .directory = "/"},
                                             seconds(20));
  EXPECT_EQ(outcome.output, "7\n/\n");
}

TEST(RunCommand, KillsTheGroupAtTheLimit) {
  const auto outcome =
      RunCommand({.argv = {"sh", "-c", "sleep 600 & sleep 600"}}, milliseconds(100));
  EXPECT_EQ(outcome.status().code(), StatusCode::kDeadlineExceeded);
}

TEST(RunCommand, NamesAProgramThatIsNotThere) {
  const Status status = RunCommand({.argv = {"/no/such/program"}}, seconds(20)).status();
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_NE(status.message().find("/no/such/program"), std::string::npos);
}

TEST(ChildProcess, ReportsTheSignalThatEndedIt) {
  ChildProcess child = *ChildProcess::Spawn({.argv = {"sleep", "600"}});
  EXPECT_FALSE(child.Poll()->has_value());
  child.SignalGroup(SIGTERM);
  const ExitStatus exit = *child.Wait(seconds(20));
  EXPECT_EQ(exit.signal, SIGTERM);
  EXPECT_FALSE(exit.ok());
}

/// Whether a process of this number runs; one that nobody has reaped does not.
bool Runs(pid_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  const std::string text{std::istreambuf_iterator<char>(stat), {}};
  const std::size_t name = text.rfind(')');
  return name != std::string::npos && text.compare(name, 3, ") Z") != 0;
}

bool EndsSoon(pid_t pid) {
  for (int look = 0; look < 2000 && Runs(pid); ++look) {
    std::this_thread::sleep_for(milliseconds(10));
  }
  return !Runs(pid);
}

pid_t ReadPid(const Path& file) {
  for (int look = 0; look < 2000; ++look) {
    std::ifstream in(file);
    pid_t pid = 0;
    if (in >> pid; in.peek() == '\n') {
      return pid;
    }
    std::this_thread::sleep_for(milliseconds(10));
  }
  return -1;
}

TEST(ChildProcess, ThatIsToEndWithThisProcessDoesSoWhenItIsKilledAndLeavesNothing) {
  const testing::TemporaryDirectory folder;
  const std::string line = "cd " + folder.path().string() +
                           "; trap '' TERM; sleep 601 & echo $! >below; echo $$ >child; sleep 601";
  const pid_t parent = ::fork();
  if (parent == 0) {
    const auto child = ChildProcess::Spawn({.argv = {"sh", "-c", line}, .ends_with_us = true});
    ::pause();
    ::_exit(0);
  }
  const pid_t child = ReadPid(folder / "child");
  const pid_t below = ReadPid(folder / "below");
  EXPECT_TRUE(Runs(child) && Runs(below));
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
  EXPECT_TRUE(EndsSoon(child));
  EXPECT_TRUE(EndsSoon(below));
}

TEST(ChildProcess, ThatIsToEndWithThisProcessLivesAndEndsAsOthersDo) {
  const CommandOutcome outcome =
      *RunCommand({.argv = {"sh", "-c", "echo out; exit 3"}, .ends_with_us = true}, seconds(20));
  EXPECT_EQ(outcome.exit.code, 3);
  EXPECT_EQ(outcome.output, "out\n");
  EXPECT_EQ(
      RunCommand({.argv = {"/no/such/program"}, .ends_with_us = true}, seconds(20)).status().code(),
      StatusCode::kNotFound);
  const testing::TemporaryDirectory folder;
  const std::string line = "cd " + folder.path().string() + "; sleep 601 & echo $! >below; wait";
  const auto late =
      RunCommand({.argv = {"sh", "-c", line}, .ends_with_us = true}, milliseconds(1500));
  EXPECT_EQ(late.status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(EndsSoon(ReadPid(folder / "below")));
  ChildProcess child = *ChildProcess::Spawn({.argv = {"sleep", "600"}, .ends_with_us = true});
  child.SignalGroup(SIGTERM);
  EXPECT_EQ(child.Wait(seconds(20))->signal, SIGTERM);
}

}  // namespace
}  // namespace tyllm
