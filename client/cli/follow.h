// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "client/api/farm.h"
#include "client/cli/session.h"
#include "common/cli/command.h"

namespace tyllm::client {

/// Shows what happens to a job on standard error: on a terminal a line for each event and a bar for
/// each running task below them, redrawn in place; otherwise plain lines, progress at most every
/// few seconds a task. While nothing of it runs: why, and when it may begin.
class JobDisplay {
 public:
  /// `out` is where to draw; `terminal`: it can move its cursor.
  JobDisplay(std::FILE* out, bool terminal, const Clock& clock);
  ~JobDisplay();

  void Show(const domain::JobEvent& event);
  /// What the job waits for or, on a terminal, when it may have ended.
  void ShowOutlook(const domain::JobView& job);

 private:
  void Erase();
  void Draw();
  bool IsDue(const domain::TaskView& task);

  std::FILE* out_;
  bool terminal_;
  const Clock& clock_;
  std::map<domain::TaskId, domain::TaskView> running_;
  std::map<domain::TaskId, std::pair<std::string, Clock::Steady>>
      said_;             // stage and when, without a terminal
  std::string outlook_;  // lines below the bars; without a terminal: what was said last
  int drawn_ = 0;        // lines below the events
};

/// Why nothing of a job runs, and when its tasks may begin, a line for each; empty when something
/// does run, or is about to.
std::vector<std::string> WaitingLines(const domain::JobView& job);

/// "[#####.....]  50%".
std::string Bar(std::int64_t done, std::int64_t total, std::int64_t width);

/// What the shell is told of a job that has ended: 0, 6 cancelled, and of one that failed whose
/// turn it is: 12 user, 13 model, 14 toolchain, 15 worker, 16 farm; 5 when that is not known.
cli::ExitCode ExitOf(const domain::JobView& job);

/// Follows a job to its end and says by the exit code how it ended (ExitOf); a failure is printed.
/// Ctrl-C leaves the job alone and says how to come back (130). `json`: only
/// that is printed, and errors of the call, as JSON.
cli::ExitCode FollowJob(Farm& farm, const Session& session, domain::JobId job, bool json);

/// After Ctrl-C, on standard error: that the job goes on, and the commands that watch and end it.
cli::ExitCode SayHowToComeBack(const Session& session, domain::JobId job);

}  // namespace tyllm::client
