// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "common/base/child_process.h"
#include "common/base/clock.h"
#include "common/domain/matching.h"
#include "common/domain/progress.h"
#include "worker/agent/memory_kills.h"

namespace tyllm::agent {

/// A job process to run: `argv` plus "--progress-fd N".
struct ChildJob {
  std::vector<std::string> argv;
  Path log;                             ///< what it prints goes to the end of this file
  std::int64_t log_limit = 256 << 20;   ///< bytes of it that are kept, see job_log.h
  Milliseconds grace{10'000};           ///< between TERM and KILL when stopped
  std::stop_token at_once;              ///< requested: KILL without the rest of the grace
  std::function<void(pid_t)> on_start;  ///< may be empty; the process is not reaped before the end
};

/// How the process ended.
struct ChildEnd {
  ExitStatus exit;
  bool stopped = false;                           ///< a stop was requested while it ran
  domain::Progress progress;                      ///< the last record
  domain::Resources used;                         ///< as far as it said
  MemoryEvidence memory = MemoryEvidence::kNone;  ///< of kills while it ran
};

/// Runs the process to its end, calling `on_progress` for each record that it writes, on this
/// thread. On a stop request its whole group gets TERM and, after the grace, KILL. Nothing that it
/// started is left behind, and the log is what it will be: this process adopts what leaves the
/// group (strays.h), which therefore must not wait for children that it does not know.
Result<ChildEnd> RunChildJob(const ChildJob& job,
                             const std::function<void(const domain::Progress&)>& on_progress,
                             const std::stop_token& stop);

}  // namespace tyllm::agent
