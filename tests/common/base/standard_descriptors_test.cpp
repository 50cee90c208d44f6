// SPDX-License-Identifier: Apache-2.0
#include "common/base/standard_descriptors.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tyllm {
namespace {

/// What a process sees that was started with these closed: 0, or the number of what is wrong.
int CloseAndHold() {
  ::close(STDIN_FILENO);
  ::close(STDOUT_FILENO);
  ::close(STDERR_FILENO);
  HoldStandardDescriptors();
  if (::open("/dev/null", O_RDONLY) <= STDERR_FILENO) {
    return 1;
  }
  char byte = 'x';
  if (::read(STDIN_FILENO, &byte, 1) != 0) {
    return 2;
  }
  if (::write(STDOUT_FILENO, &byte, 1) != -1) {
    return 3;
  }
  return ::write(STDERR_FILENO, &byte, 1) == 1 ? 0 : 4;
}

TEST(StandardDescriptors, ThatAreClosedAreNoFilesThatAreOpenedLater) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::_exit(CloseAndHold());
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(StandardDescriptors, ThatAreOpenStay) {
  HoldStandardDescriptors();
  EXPECT_EQ(::fcntl(STDERR_FILENO, F_GETFD) < 0, false);
}

}  // namespace
}  // namespace tyllm
