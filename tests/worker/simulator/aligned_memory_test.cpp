// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/aligned_memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "common/base/file_system.h"

namespace tyllm::simulator {
namespace {

TEST(AlignedMemoryTest, MoreThanTheMachineHasIsZerosUntilItIsTouched) {
  const Result<std::string> mode = LocalFileSystem().Read("/proc/sys/vm/overcommit_memory");
  if (mode.ok() && mode->starts_with('2')) {
    GTEST_SKIP() << "the kernel was told to promise no more memory than there is";
  }
  const auto bytes = 4 * static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                     static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const auto memory = AlignedMemory::Allocate(bytes, "a cache", Pages::kSmall);
  ASSERT_TRUE(memory.ok()) << memory.status().ToString();
  EXPECT_EQ(memory->data()[0], std::byte{0});
  memory->data()[bytes - 1] = std::byte{1};
  EXPECT_EQ(memory->data()[bytes / 2], std::byte{0});
}

}  // namespace
}  // namespace tyllm::simulator
