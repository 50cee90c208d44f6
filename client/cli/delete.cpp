// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "client/cli/commands.h"
#include "client/cli/job_command.h"

namespace tyllm::client {

namespace {

cli::ExitCode Run(const JobTarget& target) {
  domain::JobChange change;
  change.job = target.job;
  change.request_id = NewRequestId();  // a repetition finds it gone, and that is well
  const Status status = target.farm.Delete(change, target.session.stop());
  if (!status.ok()) {
    return cli::ReportError(status, target.json);
  }
  if (target.json) {
    fmt::print("{}\n", format::CompactJson(format::Json{{"deleted", target.job.ToString()}}));
  }
  return cli::ExitCode::kOk;
}

}  // namespace

void DeclareDelete(cli::CommandSpec& spec, Session& session) {
  spec.description =
      "Removes a job that has ended, with its tasks, events and logs. Results stay for other jobs "
      "to "
      "use.";
  DeclareForJob(spec, session, Run);
}

}  // namespace tyllm::client
