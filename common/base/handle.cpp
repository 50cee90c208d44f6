// SPDX-License-Identifier: Apache-2.0
#include "common/base/handle.h"

#include <unistd.h>

namespace tyllm {

void FdTraits::Close(int fd) {
  ::close(fd);
}

}  // namespace tyllm
