// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <memory>

#include "client/cli/commands.h"
#include "client/cli/show.h"
#include "client/cli/tell.h"
#include "client/cli/transfer.h"
#include "common/domain/task_order.h"

namespace tyllm::client {

namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::string task;
  Path out;
  bool json = false;
};

domain::TaskOrder OrderOf(const domain::TaskDetail& detail, const Path& folder) {
  domain::TaskOrder order;
  order.kind = detail.spec.kind;
  order.name = detail.spec.name;
  order.quantize = detail.spec.quantize;
  order.convert = detail.spec.convert;
  order.evaluate = detail.spec.evaluate;
  order.compile = detail.spec.compile;
  order.die = detail.spec.die;
  for (const auto& [name, tree] : detail.inputs) {
    order.inputs[name] = (folder / "inputs" / name).string();
  }
  order.output = (folder / "output").string();
  return order;
}

Status SaveLog(Farm& farm, const Session& session, const domain::TaskDetail& detail,
               const Path& file) {
  if (detail.task.attempt == 0) {
    return OkStatus();
  }
  TYLLM_ASSIGN(const auto log, LocalFileSystem().Create(file));
  Status written;
  const Status read = farm.ReadLog(
      {detail.task.id, detail.task.attempt}, 0, false,
      [&](std::string_view bytes) {
        if (written.ok()) {
          written = log->Append(bytes);
        }
      },
      session.stop());
  TYLLM_TRY(read.code() == StatusCode::kNotFound ? OkStatus() : read);
  TYLLM_TRY(written);
  return log->Close();
}

Result<domain::TaskDetail> Write(Farm& farm, const Session& session, domain::TaskId task,
                                 const Path& folder, bool quiet) {
  TYLLM_ASSIGN(const domain::TaskDetail detail, farm.Task(task, session.stop()));
  if (!detail.inputs_known) {
    return FailedPrecondition(task.ToString() +
                              " has inputs that other tasks have not made yet; see: tyllm-client "
                              "explain " +
                              detail.job.ToString());
  }
  TYLLM_TRY(LocalFileSystem().CreateDirectories(folder / "inputs"));
  for (const auto& [name, tree] : detail.inputs) {
    TYLLM_TRY(
        FetchTree(farm, session, tree, folder / "inputs" / name, quiet).status().Annotate(name));
  }
  TYLLM_TRY(SaveLog(farm, session, detail, folder / "attempt.log"));
  const format::Json order = format::ToJson(OrderOf(detail, folder));
  TYLLM_TRY(
      WriteFileAtomically(LocalFileSystem(), folder / "order.json", format::PrettyJson(order)));
  return detail;
}

// As a shell takes it.
std::string Quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) {
    quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  return quoted + "'";
}

cli::ExitCode Run(const Session& session, const Arguments& arguments) {
  const auto task = domain::TaskId::Parse(arguments.task).Annotate("task");
  if (!task.ok()) {
    return cli::ReportError(task.status(), arguments.json);
  }
  const auto farm = session.Connect();
  if (!farm.ok()) {
    return cli::ReportError(farm.status(), arguments.json);
  }
  const Path folder =
      fs::absolute(arguments.out.empty() ? Path(task->ToString() + "-reproduction") : arguments.out)
          .lexically_normal();
  const auto detail = Write(**farm, session, *task, folder, arguments.json);
  if (!detail.ok()) {
    return cli::ReportError(detail.status(), arguments.json);
  }
  const std::string command = "tyllm task --spec " + Quoted((folder / "order.json").string());
  if (arguments.json) {
    fmt::print("{}\n",
               format::CompactJson(format::Json{{"folder", folder.string()},
                                                {"command", command},
                                                {"toolchain_version", detail->toolchain_version}}));
    return cli::ExitCode::kOk;
  }
  if (!detail->toolchain_version.empty()) {
    Tell("it ran with toolchain {}; `tyllm --version` says which one is here\n",
         Printable(detail->toolchain_version));
  }
  if (!detail->spec.compiler.empty()) {
    Tell("its programs were made with {}; `tyllm devices` says what makes them here\n",
         Printable(detail->spec.compiler));
  }
  fmt::print("{}\n", command);
  return cli::ExitCode::kOk;
}

}  // namespace

void DeclareReproduce(cli::CommandSpec& spec, Session& session) {
  auto arguments = std::make_shared<Arguments>();
  spec.description =
      "Writes a folder with a task's inputs, its order and the log of its last attempt, and prints "
      "the one command that runs the task again on this machine.";
  spec.examples = {"tyllm-client reproduce t7", "sh -c \"$(tyllm-client reproduce t7)\""};
  spec.options = {
      {"TASK", "TASK", "the task's id, such as t7", &arguments->task, true},
      {"--out", "DIR", "folder to write; default: <task>-reproduction", &arguments->out},
      {"--json", "", "print JSON", &arguments->json},
  };
  spec.run = [arguments, &session] { return Run(session, *arguments); };
}

}  // namespace tyllm::client
