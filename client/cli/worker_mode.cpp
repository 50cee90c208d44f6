// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "client/cli/commands.h"
#include "client/cli/job_command.h"
#include "client/cli/show.h"
#include "common/base/wildcard.h"
#include "common/domain/views_json.h"

namespace tyllm::client {

namespace {

struct Arguments {
  std::string worker;
  std::string reason;
  bool json = false;
};

// The worker of that name, or all that fit a pattern, by name.
Result<std::vector<std::string>> NamesThatFit(Farm& farm, const std::string& worker,
                                              const std::stop_token& stop) {
  if (!IsWildcard(worker)) {
    return std::vector<std::string>{worker};
  }
  TYLLM_ASSIGN(const std::vector<domain::WorkerView> all, farm.Workers({}, stop));
  std::vector<std::string> names;
  for (const domain::WorkerView& one : all) {
    if (FitsWildcard(worker, one.name)) {
      names.push_back(one.name);
    }
  }
  if (names.empty()) {
    return NotFound("no worker is called as '" + worker + "' says, of " +
                    std::to_string(all.size()) + "; `tyllm-client workers` lists them");
  }
  return names;
}

Result<std::vector<domain::WorkerView>> SetModes(const Session& session, domain::WorkerMode mode,
                                                 const Arguments& arguments) {
  TYLLM_ASSIGN(const std::unique_ptr<Farm> farm, session.Connect());
  TYLLM_ASSIGN(const std::vector<std::string> names,
               NamesThatFit(*farm, arguments.worker, session.stop()));
  std::vector<domain::WorkerView> workers;
  for (const std::string& name : names) {
    TYLLM_ASSIGN(workers.emplace_back(),
                 farm->SetWorkerMode(name, {mode, arguments.reason}, NewRequestId(), session.stop())
                     .Annotate("worker '" + name + "' (" + std::to_string(workers.size()) + " of " +
                               std::to_string(names.size()) + " done)"));
  }
  return workers;
}

// Of one that was named, its object; of a pattern, a list.
format::Json JsonOf(const std::vector<domain::WorkerView>& workers, bool one) {
  return one ? format::ToJson(workers.front()) : format::ToJson(workers);
}

cli::ExitCode Run(const Session& session, domain::WorkerMode mode, const Arguments& arguments) {
  const auto workers = SetModes(session, mode, arguments);
  if (!workers.ok()) {
    return cli::ReportError(workers.status(), arguments.json);
  }
  const bool one = !IsWildcard(arguments.worker);
  fmt::print("{}", arguments.json ? format::CompactJson(JsonOf(*workers, one)) + "\n"
                                  : Describe(*workers));
  return cli::ExitCode::kOk;
}

void Declare(cli::CommandSpec& spec, Session& session, domain::WorkerMode mode) {
  auto arguments = std::make_shared<Arguments>();
  spec.options = {
      {"WORKER", "NAME", "the worker's name, or 'gpu-*' for all that begin so", &arguments->worker,
       true},
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
