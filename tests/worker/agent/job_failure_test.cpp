// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/job_failure.h"

#include <gtest/gtest.h>

#include <csignal>

#include "common/cli/command.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::agent {
namespace {

using domain::Blame;
using domain::MemoryKind;

class JobFailureTest : public ::testing::Test {
 protected:
  domain::Failure Of(const ChildEnd& end, const std::string& log = "") {
    EXPECT_TRUE(WriteFileAtomically(LocalFileSystem(), directory_ / "log", log).ok());
    return FailureOf(end, directory_ / "log");
  }

  static ChildEnd Exit(cli::ExitCode code, MemoryEvidence memory = MemoryEvidence::kNone) {
    ChildEnd end;
    end.exit.code = static_cast<int>(code);
    end.progress.stage = "read";
    end.memory = memory;
    return end;
  }

  static ChildEnd Signal(int signal, MemoryEvidence memory = MemoryEvidence::kNone) {
    ChildEnd end;
    end.exit.signal = signal;
    end.progress.stage = "pack";
    end.memory = memory;
    return end;
  }

  testing::TemporaryDirectory directory_;
};

TEST_F(JobFailureTest, NamesTheJobsOwnErrorAndWhoIsToBlame) {
  const domain::Failure failure =
      Of(Exit(cli::ExitCode::kBadArguments), "starting\nerror: model.bin is no model\n");
  EXPECT_EQ(failure.blame, Blame::kUser);
  EXPECT_EQ(failure.reason, "BAD_ARGUMENTS");
  EXPECT_EQ(failure.message, "model.bin is no model");
  EXPECT_EQ(failure.stage, "read");
  EXPECT_EQ(failure.exit_code, 2);
  EXPECT_FALSE(failure.retryable);
  EXPECT_EQ(failure.log_tail, "starting\nerror: model.bin is no model\n");
  EXPECT_EQ(failure.log_bytes, 38);
}

TEST_F(JobFailureTest, AConditionThatHoldsIsTheModelsFault) {
  const domain::Failure failure =
      Of(Exit(cli::ExitCode::kConditionHolds), "table\nerror: perplexity_increase>0.05 holds\n");
  EXPECT_EQ(failure.blame, Blame::kModel);
  EXPECT_EQ(failure.reason, "CONDITION_HOLDS");
  EXPECT_EQ(failure.message, "perplexity_increase>0.05 holds");
  EXPECT_FALSE(failure.retryable);
}

TEST_F(JobFailureTest, EveryFailureTellsWhatToDo) {
  for (int code = 1; code <= 17; ++code) {
    const domain::Failure failure = Of(Exit(static_cast<cli::ExitCode>(code)));
    EXPECT_FALSE(failure.action.empty()) << code;
    EXPECT_FALSE(failure.message.empty()) << code;
    EXPECT_FALSE(failure.reason.empty()) << code;
  }
  EXPECT_FALSE(Of(Signal(SIGKILL)).action.empty());
  EXPECT_FALSE(Of(Signal(SIGSEGV)).action.empty());
}

TEST_F(JobFailureTest, WhatTheMachineLacksIsTheWorkersAndTriedAgain) {
  for (const cli::ExitCode code : {cli::ExitCode::kMachine, cli::ExitCode::kUnreachable}) {
    const domain::Failure failure = Of(Exit(code), "error: no C++ compiler found\n");
    EXPECT_EQ(failure.blame, Blame::kWorker);
    EXPECT_EQ(failure.reason, "WORKER_UNFIT");
    EXPECT_EQ(failure.message, "no C++ compiler found");
    EXPECT_TRUE(failure.retryable);
  }
}

TEST_F(JobFailureTest, AToolThatIsMissingIsNamedApart) {
  const domain::Failure failure = Of(Exit(cli::ExitCode::kToolMissing), "error: no compiler\n");
  EXPECT_EQ(failure.blame, Blame::kWorker);
  EXPECT_EQ(failure.reason, domain::kToolMissingReason);
  EXPECT_TRUE(failure.retryable);
}

TEST_F(JobFailureTest, ACrashIsTheToolchainsAndMayBeTriedAgain) {
  const domain::Failure crash = Of(Signal(SIGSEGV), "error: of an earlier stage\n");
  EXPECT_EQ(crash.reason, "CRASHED");
  EXPECT_EQ(crash.signal, SIGSEGV);
  EXPECT_EQ(crash.blame, Blame::kToolchain);
  EXPECT_TRUE(crash.retryable);
  EXPECT_NE(crash.message.find("signal 11"), std::string::npos) << crash.message;
  EXPECT_NE(crash.message.find("'pack'"), std::string::npos) << crash.message;
}

TEST_F(JobFailureTest, AKillIsForWantOfMemoryOnlyWhereTheKernelSaysSo) {
  const domain::Failure kill = Of(Signal(SIGKILL));
  EXPECT_EQ(kill.reason, "KILLED");
  EXPECT_EQ(kill.out_of_memory, std::nullopt);
  for (const MemoryEvidence memory : {MemoryEvidence::kMachine, MemoryEvidence::kGroup}) {
    const domain::Failure out = Of(Signal(SIGKILL, memory));
    EXPECT_EQ(out.reason, "OUT_OF_MEMORY");
    EXPECT_EQ(out.out_of_memory, MemoryKind::kHost);
    EXPECT_EQ(out.blame, Blame::kWorker);
    EXPECT_TRUE(out.retryable);
  }
}

TEST_F(JobFailureTest, AJobThatLostItsCompilerToTheKernelRanOutOfMemory) {
  EXPECT_EQ(Of(Exit(cli::ExitCode::kFailed, MemoryEvidence::kGroup)).reason, "OUT_OF_MEMORY");
  EXPECT_EQ(Of(Exit(cli::ExitCode::kFailed, MemoryEvidence::kMachine)).reason, "FAILED")
      << "that may have been any process";
}

TEST_F(JobFailureTest, MemoryOfTheMachineAndOfTheGpuAreToldApartFromTheDisk) {
  EXPECT_EQ(Of(Exit(cli::ExitCode::kOutOfResources)).out_of_memory, std::nullopt);
  EXPECT_EQ(Of(Exit(cli::ExitCode::kOutOfMemory)).out_of_memory, MemoryKind::kHost);
  const domain::Failure gpu = Of(Exit(cli::ExitCode::kOutOfGpuMemory));
  EXPECT_EQ(gpu.out_of_memory, MemoryKind::kGpu);
  EXPECT_EQ(gpu.reason, "GPU_OUT_OF_MEMORY");
  EXPECT_TRUE(gpu.retryable);
}

TEST_F(JobFailureTest, OnlyTheLastLinesOfALongLogTravelWithTheFailure) {
  std::string log;
  for (int i = 0; i < 2000; ++i) {
    log += "line " + std::to_string(i) + "\n";
  }
  const domain::Failure failure = Of(Exit(cli::ExitCode::kFailed), log);
  EXPECT_LE(failure.log_tail.size(), 2048U);
  EXPECT_TRUE(failure.log_tail.ends_with("line 1999\n"));
  EXPECT_TRUE(failure.log_tail.starts_with("line "));
  EXPECT_EQ(failure.log_bytes, static_cast<std::int64_t>(log.size()));
}

}  // namespace
}  // namespace tyllm::agent
