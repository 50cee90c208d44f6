// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <memory>

#include "client/cli/commands.h"
#include "client/cli/follow.h"
#include "client/cli/job_command.h"
#include "client/cli/tell.h"
#include "common/domain/views_json.h"

namespace tyllm::client {

namespace {

struct Arguments {
  bool no_cache = false;
  bool wait = false;
};

cli::ExitCode Run(const JobTarget& target, const Arguments& arguments) {
  domain::RetryRequest request;
  request.change.job = target.job;
  request.change.request_id = NewRequestId();
  request.no_cache = arguments.no_cache;
  const auto made = target.farm.Retry(request, target.session.stop());
  if (!made.ok()) {
    return cli::ReportError(made.status(), target.json);
  }
  if (!arguments.wait) {
    fmt::print("{}\n",
               target.json ? format::CompactJson(format::ToJson(*made)) : made->id.ToString());
    return cli::ExitCode::kOk;
  }
  Tell("submitted {}\n", made->id.ToString());
  const cli::ExitCode end = FollowJob(target.farm, target.session, made->id, target.json);
  if (end != cli::ExitCode::kInterrupted && end != cli::ExitCode::kUnreachable) {
    PrintJob(target.farm.Get(made->id, target.session.stop()), target.json);
  }
  return end;
}

}  // namespace

void DeclareRetry(cli::CommandSpec& spec, Session& session) {
  auto arguments = std::make_shared<Arguments>();
  spec.description =
      "A new job that does what is left of one that failed or was cancelled: what its tasks have "
      "made is kept. Prints the new job's id.";
  DeclareForJob(spec, session,
                [arguments](const JobTarget& target) { return Run(target, *arguments); });
  spec.options.push_back({"--no-cache", "",
                          "of what is left, run everything, whatever results the farm has",
                          &arguments->no_cache});
  spec.options.push_back({"--wait", "", "follow the new job to its end", &arguments->wait});
}

}  // namespace tyllm::client
