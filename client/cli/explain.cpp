// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "client/cli/commands.h"
#include "client/cli/job_command.h"
#include "client/cli/show.h"
#include "client/cli/show_explanation.h"
#include "common/domain/explanation_json.h"

namespace tyllm::client {

namespace {

cli::ExitCode Run(const JobTarget& target) {
  const auto explanation = target.farm.Explain(target.job, target.session.stop());
  if (!explanation.ok()) {
    return cli::ReportError(explanation.status(), target.json);
  }
  fmt::print("{}", target.json ? format::CompactJson(format::ToJson(*explanation)) + "\n"
                               : Describe(*explanation));
  return cli::ExitCode::kOk;
}

}  // namespace

void DeclareExplain(cli::CommandSpec& spec, Session& session) {
  spec.description =
      "Why a job waits or failed: what each task needs and why it does not run, its cache key and "
      "what came of it, every attempt, what the scheduler decided.";
  DeclareForJob(spec, session, Run);
}

}  // namespace tyllm::client
