// SPDX-License-Identifier: Apache-2.0
#include "client/cli/job_command.h"

#include <fmt/format.h>

#include <memory>
#include <random>

#include "client/cli/show.h"
#include "common/domain/views_json.h"

namespace tyllm::client {

namespace {

struct Arguments {
  std::string job;
  bool json = false;
};

}  // namespace

void DeclareForJob(cli::CommandSpec& spec, Session& session, JobAction action) {
  auto arguments = std::make_shared<Arguments>();
  spec.options = {
      {"JOB", "JOB", "the job's id, such as j42", &arguments->job, true},
      {"--json", "", "print JSON", &arguments->json},
  };
  spec.run = [arguments, &session, action = std::move(action)] {
    const auto job = ParseJob(arguments->job);
    if (!job.ok()) {
      return cli::ReportError(job.status(), arguments->json);
    }
    const auto farm = session.Connect();
    if (!farm.ok()) {
      return cli::ReportError(farm.status(), arguments->json);
    }
    return action({**farm, session, *job, arguments->json});
  };
}

cli::ExitCode PrintJob(const Result<domain::JobView>& view, bool json) {
  if (!view.ok()) {
    return cli::ReportError(view.status(), json);
  }
  fmt::print("{}", json ? format::CompactJson(format::ToJson(*view)) + "\n" : Describe(*view));
  return cli::ExitCode::kOk;
}

std::string NewRequestId() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", device(), device(), device(), device());
}

}  // namespace tyllm::client
