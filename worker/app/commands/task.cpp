// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <iostream>
#include <memory>
#include <optional>
#include <utility>

#include "common/base/version.h"
#include "common/domain/matching.h"
#include "common/domain/tools.h"
#include "common/format/json.h"
#include "worker/app/commands/commands.h"
#include "worker/app/installed.h"
#include "worker/app/lifeline.h"
#include "worker/app/vendor_command.h"
#include "worker/jobs/task_runner.h"

namespace tyllm::app {

namespace {

// For the agent, behind the progress: what only the job knows of what it took.
void TellUsed(const Invocation& invocation, const jobs::TaskReport& report) {
  const Fd pipe = invocation.ProgressPipe();
  if (!pipe || report.gpu_memory_bytes == 0) {
    return;
  }
  const domain::Resources used{.gpu_memory_bytes = report.gpu_memory_bytes};
  format::Json json;
  json["used"] = format::ToJson(used);
  const std::string line = format::CompactJson(json) + "\n";
  // A courtesy, like progress itself: shorter than what a pipe takes at once, or nobody reads.
  static_cast<void>(::write(pipe.get(), line.data(), line.size()) < 0);
}

Result<cli::ExitCode> RunOrder(const Path& spec, const Invocation& invocation) {
  TYLLM_ASSIGN(const format::Json json, format::ReadJsonFile(spec));
  TYLLM_ASSIGN(const domain::TaskOrder order,
               format::FromJson<domain::TaskOrder>(json, spec.string()));
  TYLLM_ASSIGN(const Path calibration, CalibrationFile(order.quantize.calibration.set));
  TYLLM_ASSIGN(const Path evaluation, InstalledFile("wikitext-2/test.txt"));
  std::cout << "tyllm " << Version() << ": " << domain::kTaskKindNames.Name(order.kind) << " of "
            << order.name << std::endl;  // flushed: a crash must not take it along
  TYLLM_ASSIGN(const compile::VendorSettings vendor, VendorSettingsOf({}));
  TYLLM_ASSIGN(const jobs::TaskReport report,
               jobs::RunTask(order, {calibration, evaluation}, LocalFileSystem(), SystemClock(),
                             *invocation.OpenProgress(), vendor));
  TellUsed(invocation, report);
  std::cout << report.text << std::flush;
  if (report.violations.empty()) {
    return cli::ExitCode::kOk;
  }
  cli::ReportError(Aborted(report.violations));
  return cli::ExitCode::kConditionHolds;
}

// A job opens only what its order and its installation name: what it may not open, what is not
// installed and what does not respond is its machine's fault, never the request's.
cli::ExitCode ExitCodeOfJob(const Status& status) {
  if (status.facts().contains(domain::kMissingToolFact)) {
    return cli::ExitCode::kToolMissing;
  }
  const StatusCode code = status.code();
  const bool machine = code == StatusCode::kUnavailable || code == StatusCode::kDeadlineExceeded ||
                       code == StatusCode::kPermissionDenied;
  return machine ? cli::ExitCode::kMachine : cli::ExitCodeOf(status);
}

}  // namespace

void DeclareTask(cli::CommandSpec& spec, Invocation& invocation) {
  auto order = std::make_shared<Path>();
  spec.description =
      "What a worker's agent runs; the file is described in docs/formats/task_order.md.";
  spec.options = {{"--spec", "FILE", "the order to carry out", order.get(), true}};
  spec.run = [order, &invocation] {
    // A job whose agent is gone has nobody to give its result to.
    std::optional<Lifeline> agent;
    if (Fd pipe = invocation.ProgressPipe()) {
      agent.emplace(std::move(pipe), KillOwnGroup);
    }
    const Result<cli::ExitCode> code = RunOrder(*order, invocation);
    if (!code.ok()) {
      cli::ReportError(code.status());
      return ExitCodeOfJob(code.status());
    }
    return *code;
  };
}

}  // namespace tyllm::app
