// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <thread>

#include "common/base/handle.h"

namespace tyllm::app {

/// Sends SIGTERM to this process when nobody holds the other end of a pipe any more: whoever
/// started it is gone, however that ended.
class Lifeline {
 public:
  /// `fd` is the pipe's read end; closed with the object.
  explicit Lifeline(int fd);

 private:
  Fd fd_;
  std::jthread thread_;
};

}  // namespace tyllm::app
