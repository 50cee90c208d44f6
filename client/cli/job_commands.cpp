// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <memory>

#include "client/cli/commands.h"
#include "client/cli/follow.h"
#include "client/cli/job_command.h"
#include "client/cli/live_output.h"
#include "client/cli/transfer.h"
#include "common/domain/views_json.h"

// The commands about one job that take little more than its id.
namespace tyllm::client {

namespace {

cli::ExitCode Status(const JobTarget& target) {
  return PrintJob(target.farm.Get(target.job, target.session.stop()), target.json);
}

cli::ExitCode Cancel(const JobTarget& target) {
  domain::JobChange change;
  change.job = target.job;
  return PrintJob(target.farm.Cancel(change, target.session.stop()), target.json);
}

cli::ExitCode WatchAsJson(const JobTarget& target) {
  LiveOutput output(target.session.stop());
  const auto end = target.farm.Watch(
      target.job, 0,
      [&](const domain::JobEvent& event) {
        output.Write(format::CompactJson(format::ToJson(event)) + "\n");
      },
      output.stop());
  if (output.failed()) {
    return output.Report(cli::ExitCode::kInterrupted, true);
  }
  if (target.session.stop().stop_requested()) {
    return SayHowToComeBack(target.session, target.job);
  }
  if (!end.ok()) {
    return cli::ReportError(end.status(), true);
  }
  return FollowJob(target.farm, target.session, target.job, true);
}

cli::ExitCode Watch(const JobTarget& target) {
  return target.json ? WatchAsJson(target)
                     : FollowJob(target.farm, target.session, target.job, false);
}

cli::ExitCode Fetch(const JobTarget& target, const Path& out) {
  const auto view = target.farm.Get(target.job, target.session.stop());
  if (!view.ok()) {
    return cli::ReportError(view.status(), target.json);
  }
  const auto folders = FetchOutputs(target.farm, target.session, *view, out, target.json);
  if (!folders.ok()) {
    return cli::ReportError(folders.status(), target.json);
  }
  format::Json json = format::Json::array();
  for (const Path& folder : *folders) {
    json.push_back(folder.string());
    if (!target.json) {
      fmt::print("{}\n", folder.string());
    }
  }
  if (target.json) {
    fmt::print("{}\n", format::CompactJson(format::Json{{"folders", json}}));
  }
  return cli::ExitCode::kOk;
}

}  // namespace

void DeclareStatus(cli::CommandSpec& spec, Session& session) {
  DeclareForJob(spec, session, Status);
}

void DeclareCancel(cli::CommandSpec& spec, Session& session) {
  spec.description =
      "Idempotent. A task that runs is told to stop; the job is cancelled when it has.";
  DeclareForJob(spec, session, Cancel);
}

void DeclareWatch(cli::CommandSpec& spec, Session& session) {
  spec.description =
      "Shows what happened and what happens. Ctrl-C ends the watching, not the job. With --json "
      "one event a line.";
  DeclareForJob(spec, session, Watch);
}

void DeclareFetch(cli::CommandSpec& spec, Session& session) {
  auto out = std::make_shared<Path>();
  DeclareForJob(spec, session, [out](const JobTarget& target) { return Fetch(target, *out); });
  spec.options.push_back({"--out", "DIR", "where the output folders go", out.get(), true});
}

}  // namespace tyllm::client
