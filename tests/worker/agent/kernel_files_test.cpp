// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/kernel_files.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/support/temporary_directory.h"
#include "worker/agent/machine.h"
#include "worker/agent/memory_kills.h"

namespace tyllm::agent {
namespace {

/// A kernel's files, as the test wants them.
class KernelFilesTest : public ::testing::Test {
 protected:
  void Put(const std::string& path, const std::string& text) {
    const Path file = folder_ / path;
    std::filesystem::create_directories(file.parent_path());
    ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), file, text).ok());
  }

  testing::TemporaryDirectory folder_;
  KernelRoots roots_{folder_ / "proc", folder_ / "cgroups"};
};

TEST_F(KernelFilesTest, AKeyIsAWholeWordAtTheStartOfALine) {
  Put("f", "oom 1\noom_kill 7\noom_kill_other 9\nMemTotal:      42 kB\n");
  EXPECT_EQ(NumberIn(folder_ / "f", "oom_kill"), 7);
  EXPECT_EQ(NumberIn(folder_ / "f", "MemTotal"), 42);
  EXPECT_EQ(NumberIn(folder_ / "f", "kill"), std::nullopt);
  EXPECT_EQ(NumberIn(folder_ / "absent", "oom_kill"), std::nullopt);
}

TEST_F(KernelFilesTest, MemoryIsTheMachinesOrTheSmallestLimitOfAGroup) {
  Put("proc/meminfo", "MemFree: 1 kB\nMemTotal:       1000 kB\n");
  EXPECT_EQ(MemoryBytes(roots_), 1000 * 1024);
  Put("proc/self/cgroup", "0::/farm/worker\n");
  Put("cgroups/farm/worker/memory.max", "max\n");
  Put("cgroups/farm/memory.max", "5000\n");
  EXPECT_EQ(MemoryBytes(roots_), 5000);
}

TEST_F(KernelFilesTest, TheOlderInterfaceIsReadToo) {
  Put("proc/meminfo", "MemTotal: 1000 kB\n");
  Put("proc/self/cgroup", "5:cpu:/x\n4:memory,other:/job\n");
  Put("cgroups/memory/job/memory.limit_in_bytes", "7000\n");
  EXPECT_EQ(MemoryBytes(roots_), 7000);
}

TEST_F(KernelFilesTest, AKillIsEvidenceWhenItHappenedSinceTheStart) {
  Put("proc/self/cgroup", "0::/\n");
  Put("cgroups/memory.events", "low 0\noom_kill 3\n");
  Put("proc/vmstat", "oom_kill 3\n");
  const MemoryKills kills(roots_);
  EXPECT_EQ(kills.SinceStart(), MemoryEvidence::kNone);
  Put("proc/vmstat", "oom_kill 4\n");
  EXPECT_EQ(kills.SinceStart(), MemoryEvidence::kMachine);
  Put("cgroups/memory.events", "low 0\noom_kill 4\n");
  EXPECT_EQ(kills.SinceStart(), MemoryEvidence::kGroup);
}

TEST_F(KernelFilesTest, WithoutCountersThereIsNoEvidence) {
  const MemoryKills kills(roots_);
  EXPECT_EQ(kills.SinceStart(), MemoryEvidence::kNone);
}

TEST(MachineTest, ThisMachineHasMemoryAndCpusAndThisProcessUsesSome) {
  EXPECT_GT(MemoryBytes(), 1 << 20);
  EXPECT_GE(Cpus(), 1);
  EXPECT_GT(MemoryOfProcess(::getpid()), 1 << 20);
  EXPECT_EQ(MemoryOfProcess(-1), 0);
}

}  // namespace
}  // namespace tyllm::agent
