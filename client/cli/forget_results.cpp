// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <memory>

#include "client/cli/commands.h"
#include "client/cli/job_command.h"
#include "client/cli/when.h"
#include "common/format/json.h"

namespace tyllm::client {

namespace {

struct Arguments {
  std::string job;
  std::string task;
  std::string since;
  std::string until;
  bool dry_run = false;
  bool json = false;
  domain::ResultSelection which;
};

Result<domain::ForgetRequest> RequestOf(const Arguments& arguments, std::int64_t now) {
  domain::ForgetRequest request{
      .request_id = NewRequestId(), .which = arguments.which, .validate_only = arguments.dry_run};
  if (!arguments.job.empty()) {
    TYLLM_ASSIGN(request.which.job, domain::JobId::Parse(arguments.job).Annotate("--job"));
  }
  if (!arguments.task.empty()) {
    TYLLM_ASSIGN(request.which.task, domain::TaskId::Parse(arguments.task).Annotate("--task"));
  }
  if (!arguments.since.empty()) {
    TYLLM_ASSIGN(request.which.made_from_unix_ms,
                 ParseWhen(arguments.since, now).Annotate("--since"));
  }
  if (!arguments.until.empty()) {
    TYLLM_ASSIGN(request.which.made_before_unix_ms,
                 ParseWhen(arguments.until, now).Annotate("--until"));
  }
  return request;
}

std::string Counted(std::int64_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string Describe(const domain::ForgottenResults& found, bool dry_run) {
  std::string text =
      fmt::format("{} and unfinished work of {} {}\n", Counted(found.results, "result"),
                  Counted(found.unfinished, "task"), dry_run ? "would be forgotten" : "forgotten");
  if (found.unknown > 0) {
    text += fmt::format(
        "left: {} of deleted jobs, whose maker nobody knows (--unknown-maker takes them, too)\n",
        Counted(found.unknown, "result"));
  }
  return text;
}

std::string ToJson(const domain::ForgottenResults& found) {
  const format::Json json = {
      {"results", found.results}, {"unfinished", found.unfinished}, {"unknown", found.unknown}};
  return format::CompactJson(json) + "\n";
}

Result<domain::ForgottenResults> Forget(const Session& session, const Arguments& arguments) {
  TYLLM_ASSIGN(const domain::ForgetRequest request,
               RequestOf(arguments, session.clock().UnixMillis()));
  TYLLM_ASSIGN(const std::unique_ptr<Farm> farm, session.Connect());
  return farm->ForgetResults(request, session.stop());
}

cli::ExitCode Run(const Session& session, const Arguments& arguments) {
  const auto found = Forget(session, arguments);
  if (!found.ok()) {
    return cli::ReportError(found.status(), arguments.json);
  }
  fmt::print("{}", arguments.json ? ToJson(*found) : Describe(*found, arguments.dry_run));
  return cli::ExitCode::kOk;
}

}  // namespace

void DeclareResultsForget(cli::CommandSpec& spec, Session& session) {
  spec.description =
      "For when a machine, a driver or a toolchain turned out to be wrong: what was made with it "
      "is not given to other jobs any more, whoever asks for the same runs it again. Jobs that "
      "have ended keep their outputs. What is given must all apply; something must be given.";
  auto arguments = std::make_shared<Arguments>();
  domain::ResultSelection& which = arguments->which;
  spec.options = {
      {"--worker", "NAME", "what this worker made", &which.worker},
      {"--toolchain", "VERSION", "what was made with this version", &which.toolchain_version},
      {"--since", "TIME", "what was made then or later: 2026-11-28, '2026-11-28 14:00', 2h (ago)",
       &arguments->since},
      {"--until", "TIME", "what was made before", &arguments->until},
      {"--job", "JOB", "what the job's tasks made, or took from another job", &arguments->job},
      {"--task", "TASK", "likewise", &arguments->task},
      {"--unknown-maker", "", "also results of deleted jobs, whose maker nobody knows",
       &which.unknown_maker},
      {"--dry-run", "", "count them, and forget none", &arguments->dry_run},
      {"--json", "", "print JSON", &arguments->json},
  };
  spec.examples = {
      "tyllm-client results forget --worker gpu-3 --since 7d --dry-run",
      "tyllm-client results forget --toolchain 0.1.0+5f2c81a94d10",
  };
  spec.run = [arguments, &session] { return Run(session, *arguments); };
}

}  // namespace tyllm::client
