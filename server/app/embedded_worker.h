// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/base/child_process.h"
#include "common/base/clock.h"
#include "common/telemetry/log.h"

namespace tyllm::server::app {

/// A tyllm-worker as the server's child: started again when it ends, with growing pauses when it
/// ends soon. It holds one end of a pipe and stops by itself when the server is gone, however that
/// ended. One thread.
class EmbeddedWorker {
 public:
  /// `argv` is the program and its arguments; `--lifeline-fd N` is added.
  EmbeddedWorker(std::vector<std::string> argv, const Clock& clock, telemetry::Log& log);

  /// To be called about once a second.
  void Tick();

  /// SIGTERM, and SIGKILL when it still runs after `limit`.
  void Stop(Milliseconds limit);

 private:
  Status Start();
  void TakeNoteOfEnd(const std::string& how);

  const std::vector<std::string> argv_;
  const Clock& clock_;
  telemetry::Log& log_;
  std::optional<ChildProcess> child_;
  Pipe lifeline_;  ///< the read end is the child's
  Clock::Steady started_;
  Clock::Steady next_start_;
  Milliseconds pause_{0};
};

}  // namespace tyllm::server::app
