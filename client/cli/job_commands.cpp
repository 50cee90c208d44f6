// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <memory>

#include "client/cli/commands.h"
#include "client/cli/follow.h"
#include "client/cli/show.h"
#include "client/cli/transfer.h"
#include "common/domain/views_json.h"

// The commands about one job that take little more than its id.
namespace tyllm::client {

namespace {

struct JobRequest {
  std::string job;
  Path out;
  bool json = false;
};

using JobAction = cli::ExitCode (*)(Farm& farm, const Session& session, domain::JobId job,
                                    const JobRequest& request);

std::shared_ptr<JobRequest> DeclareJobCommand(cli::CommandSpec& spec, Session& session,
                                              JobAction action) {
  auto request = std::make_shared<JobRequest>();
  spec.options = {
      {"JOB", "JOB", "the job's id, such as j42", &request->job, true},
      {"--json", "", "print JSON", &request->json},
  };
  spec.run = [request, &session, action] {
    const auto job = ParseJob(request->job);
    if (!job.ok()) {
      return cli::ReportError(job.status(), request->json);
    }
    const auto farm = session.Connect();
    if (!farm.ok()) {
      return cli::ReportError(farm.status(), request->json);
    }
    return action(**farm, session, *job, *request);
  };
  return request;
}

cli::ExitCode Print(const Result<domain::JobView>& view, bool json) {
  if (!view.ok()) {
    return cli::ReportError(view.status(), json);
  }
  fmt::print("{}", json ? format::CompactJson(format::ToJson(*view)) + "\n" : Describe(*view));
  return cli::ExitCode::kOk;
}

cli::ExitCode Status(Farm& farm, const Session& session, domain::JobId job,
                     const JobRequest& request) {
  return Print(farm.Get(job, session.stop()), request.json);
}

cli::ExitCode Cancel(Farm& farm, const Session& session, domain::JobId job,
                     const JobRequest& request) {
  return Print(farm.Cancel(job, session.stop()), request.json);
}

cli::ExitCode WatchAsJson(Farm& farm, const Session& session, domain::JobId job) {
  const auto end = farm.Watch(
      job, 0,
      [](const domain::JobEvent& event) {
        fmt::print("{}\n", format::CompactJson(format::ToJson(event)));
        std::fflush(stdout);
      },
      session.stop());
  if (!end.ok()) {
    return cli::ReportError(end.status(), true);
  }
  return FollowJob(farm, job, session.clock(), true, session.stop());
}

cli::ExitCode Watch(Farm& farm, const Session& session, domain::JobId job,
                    const JobRequest& request) {
  return request.json ? WatchAsJson(farm, session, job)
                      : FollowJob(farm, job, session.clock(), false, session.stop());
}

cli::ExitCode Fetch(Farm& farm, const Session& session, domain::JobId job,
                    const JobRequest& request) {
  const auto view = farm.Get(job, session.stop());
  if (!view.ok()) {
    return cli::ReportError(view.status(), request.json);
  }
  const auto folders = FetchOutputs(farm, session, *view, request.out, request.json);
  if (!folders.ok()) {
    return cli::ReportError(folders.status(), request.json);
  }
  format::Json json = format::Json::array();
  for (const Path& folder : *folders) {
    json.push_back(folder.string());
    if (!request.json) {
      fmt::print("{}\n", folder.string());
    }
  }
  if (request.json) {
    fmt::print("{}\n", format::CompactJson(format::Json{{"folders", json}}));
  }
  return cli::ExitCode::kOk;
}

}  // namespace

void DeclareStatus(cli::CommandSpec& spec, Session& session) {
  DeclareJobCommand(spec, session, Status);
}

void DeclareCancel(cli::CommandSpec& spec, Session& session) {
  spec.description =
      "Idempotent. A task that runs is told to stop; the job is cancelled when it has.";
  DeclareJobCommand(spec, session, Cancel);
}

void DeclareWatch(cli::CommandSpec& spec, Session& session) {
  spec.description =
      "Shows what happened and what happens. Ctrl-C ends the watching, not the job. With --json "
      "one event a line.";
  DeclareJobCommand(spec, session, Watch);
}

void DeclareFetch(cli::CommandSpec& spec, Session& session) {
  const auto request = DeclareJobCommand(spec, session, Fetch);
  spec.options.push_back({"--out", "DIR", "where the output folders go", &request->out, true});
}

}  // namespace tyllm::client
