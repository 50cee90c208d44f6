// SPDX-License-Identifier: Apache-2.0
#include "common/base/standard_descriptors.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <initializer_list>

namespace tyllm {

void HoldStandardDescriptors() {
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(standard, F_GETFD) < 0 && errno == EBADF) {
      // The lowest number that is free, which is this one. Errors have nowhere to go; that results
      // go nowhere is an error.
      (void)::open("/dev/null", standard == STDERR_FILENO ? O_WRONLY : O_RDONLY);
    }
  }
}

}  // namespace tyllm
