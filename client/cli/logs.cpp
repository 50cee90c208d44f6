// SPDX-License-Identifier: Apache-2.0
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "client/cli/commands.h"
#include "client/cli/live_output.h"
#include "client/cli/whole_characters.h"

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
  if (!std::in_range<domain::Attempt>(request.attempt) || request.attempt < 0) {
    return cli::ReportError(
        InvalidArgument("--attempt is " + std::to_string(request.attempt) +
                        ", expected 0 (the last one) or the number of an attempt, up to " +
                        std::to_string(std::numeric_limits<domain::Attempt>::max())),
        request.json);
  }
  const auto farm = session.Connect();
  if (!farm.ok()) {
    return cli::ReportError(farm.status(), request.json);
  }
  LiveOutput output(session.stop());
  WholeCharacters characters;
  const auto write_json = [&](const std::string& text) {
    if (!text.empty()) {
      output.Write(format::CompactJson(format::Json{{"data", text}}) + "\n");
    }
  };
  const auto sink = [&](std::string_view data) {
    if (request.json) {
      write_json(characters.Take(data));
    } else {
      output.Write(data);
    }
  };
  const Status status = (*farm)->ReadLog({*task, static_cast<domain::Attempt>(request.attempt)},
                                         request.offset, request.follow, sink, output.stop());
  write_json(characters.Rest());
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
