// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <thread>

#include "common/base/handle.h"

namespace tyllm::app {

/// Acts when nobody holds the other end of a pipe any more: whoever started this process is gone,
/// however that ended.
class Lifeline {
 public:
  /// `fd` is either end of the pipe; closed with the object. `on_loss` is called once, on a thread
  /// of this object.
  Lifeline(Fd fd, std::function<void()> on_loss);

 private:
  Fd fd_;
  std::jthread thread_;
};

/// SIGKILL to this process and, if it leads a process group, to all of the group: what it started
/// has lost its purpose too.
void KillOwnGroup();

}  // namespace tyllm::app
