// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include "client/cli/commands.h"
#include "client/cli/live_output.h"

namespace tyllm::client {

namespace {

struct LogRequest {
  std::string task;
  std::int64_t attempt = 0;
  std::int64_t offset = 0;
  bool follow = false;
  bool json = false;
};

cli::ExitCode Run(const Session& session, const LogRequest& request) {
  const auto task = domain::TaskId::Parse(request.task).Annotate("task");
  if (!task.ok()) {
    return cli::ReportError(task.status(), request.json);
  }
  const auto farm = session.Connect();
  if (!farm.ok()) {
    return cli::ReportError(farm.status(), request.json);
  }
  LiveOutput output(session.stop());
  const auto sink = [&](std::string_view data) {
    const std::string line =
        request.json ? format::CompactJson(format::Json{{"data", std::string(data)}}) + "\n" : "";
    const std::string_view text = request.json ? std::string_view(line) : data;
    output.Write(text);
  };
  const Status status = (*farm)->ReadLog({*task, static_cast<domain::Attempt>(request.attempt)},
                                         request.offset, request.follow, sink, output.stop());
  if (output.failed()) {
    return output.Report(cli::ExitCode::kOk, request.json);
  }
  return status.ok() ? cli::ExitCode::kOk : cli::ReportError(status, request.json);
}

}  // namespace

void DeclareLogs(cli::CommandSpec& spec, Session& session) {
  auto request = std::make_shared<LogRequest>();
  spec.description = "Task ids are in the output of `tyllm-client status`.";
  spec.options = {
      {"TASK", "TASK", "the task's id, such as t7", &request->task, true},
      {"--attempt", "N", "which attempt; 0 is the last one", &request->attempt},
      {"--offset", "BYTES", "where to begin", &request->offset},
      {"--follow", "", "go on until the attempt ends", &request->follow},
      {"--json", "", "print pieces as JSON, one a line", &request->json},
  };
  spec.run = [request, &session] { return Run(session, *request); };
}

}  // namespace tyllm::client
