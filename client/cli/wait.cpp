// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "client/cli/commands.h"
#include "client/cli/follow.h"
#include "client/cli/job_command.h"

namespace tyllm::client {

namespace {

constexpr std::int64_t kForEver = 10LL * 365 * 86'400;

cli::ExitCode Run(const JobTarget& target, std::int64_t seconds) {
  if (seconds < 0) {
    return cli::ReportError(InvalidArgument("--timeout is below 0; give seconds"), target.json);
  }
  domain::WaitRequest request;
  request.job = target.job;
  request.timeout_ms = 1000 * (seconds == 0 ? kForEver : std::min(seconds, kForEver));
  const auto job = target.farm.Wait(request, target.session.stop());
  if (!job.ok() && target.session.stop().stop_requested()) {
    return SayHowToComeBack(target.session, target.job);
  }
  const cli::ExitCode printed = PrintJob(job, target.json);
  if (!job.ok()) {
    return printed;
  }
  if (!IsFinal(job->state)) {
    return cli::ReportError(DeadlineExceeded(target.job.ToString() + " has not ended within " +
                                             std::to_string(seconds) + " s; it goes on"),
                            target.json);
  }
  return ExitOf(*job);
}

}  // namespace

void DeclareWait(cli::CommandSpec& spec, Session& session) {
  auto seconds = std::make_shared<std::int64_t>(0);
  spec.description =
      "Waits with calls of a few seconds, so that it works where streams are cut. The exit code "
      "says "
      "how the job ended, as that of `submit --wait`.";
  DeclareForJob(spec, session,
                [seconds](const JobTarget& target) { return Run(target, *seconds); });
  spec.options.push_back(
      {"--timeout", "SECONDS", "give up after so long; 0: never", seconds.get()});
}

}  // namespace tyllm::client
