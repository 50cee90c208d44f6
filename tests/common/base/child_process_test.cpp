// SPDX-License-Identifier: Apache-2.0
#include "common/base/child_process.h"

#include <gtest/gtest.h>

#include <csignal>

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

}  // namespace
}  // namespace tyllm
