// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <memory>

#include "client/cli/commands.h"
#include "client/cli/job_command.h"
#include "client/cli/show.h"
#include "common/domain/views_json.h"

namespace tyllm::client {

namespace {

struct Arguments {
  std::string worker;
  std::string reason;
  bool json = false;
};

cli::ExitCode Run(const Session& session, domain::WorkerMode mode, const Arguments& arguments) {
  const auto farm = session.Connect();
  if (!farm.ok()) {
    return cli::ReportError(farm.status(), arguments.json);
  }
  const auto worker = (*farm)->SetWorkerMode(arguments.worker, {mode, arguments.reason},
                                             NewRequestId(), session.stop());
  if (!worker.ok()) {
    return cli::ReportError(worker.status(), arguments.json);
  }
  fmt::print("{}", arguments.json ? format::CompactJson(format::ToJson(*worker)) + "\n"
                                  : Describe(std::vector<domain::WorkerView>{*worker}));
  return cli::ExitCode::kOk;
}

void Declare(cli::CommandSpec& spec, Session& session, domain::WorkerMode mode) {
  auto arguments = std::make_shared<Arguments>();
  spec.options = {
      {"WORKER", "NAME", "the worker's name", &arguments->worker, true},
      {"--reason", "TEXT", "for people; shown wherever the worker is", &arguments->reason},
      {"--json", "", "print JSON", &arguments->json},
  };
  spec.run = [arguments, &session, mode] { return Run(session, mode, *arguments); };
}

cli::ExitCode Forget(const Session& session, const Arguments& arguments) {
  const auto farm = session.Connect();
  const Status forgot =
      farm.ok() ? (*farm)->ForgetWorker(arguments.worker, NewRequestId(), session.stop())
                : farm.status();
  if (!forgot.ok()) {
    return cli::ReportError(forgot, arguments.json);
  }
  fmt::print("{}", arguments.json ? std::string("{}\n") : arguments.worker + " is forgotten\n");
  return cli::ExitCode::kOk;
}

}  // namespace

void DeclareWorkerForget(cli::CommandSpec& spec, Session& session) {
  spec.description =
      "When it calls again it is a new worker, which nobody has cordoned. The server forgets "
      "workers by itself that were not seen for long (keep.worker_days).";
  auto arguments = std::make_shared<Arguments>();
  spec.options = {
      {"WORKER", "NAME", "the worker's name", &arguments->worker, true},
      {"--json", "", "print JSON", &arguments->json},
  };
  spec.run = [arguments, &session] { return Forget(session, *arguments); };
}

void DeclareWorkerCordon(cli::CommandSpec& spec, Session& session) {
  spec.description = "It gets nothing new; what runs goes on; the process stays.";
  Declare(spec, session, domain::WorkerMode::kCordoned);
}

void DeclareWorkerDrain(cli::CommandSpec& spec, Session& session) {
  spec.description = "It gets nothing new, and its process ends when its last task has.";
  Declare(spec, session, domain::WorkerMode::kDraining);
}

void DeclareWorkerKill(cli::CommandSpec& spec, Session& session) {
  spec.description =
      "It ends its tasks now and hands them back, which costs them nothing; its process ends.";
  Declare(spec, session, domain::WorkerMode::kKilled);
}

void DeclareWorkerActivate(cli::CommandSpec& spec, Session& session) {
  spec.description = "Takes cordoning back.";
  Declare(spec, session, domain::WorkerMode::kActive);
}

}  // namespace tyllm::client
