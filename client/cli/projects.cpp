// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "client/cli/commands.h"
#include "client/cli/job_command.h"
#include "client/cli/show.h"

namespace tyllm::client {

namespace {

struct Arguments {
  std::string name;
  std::optional<double> weight;
  std::optional<std::int64_t> queued;
  std::optional<std::int64_t> running;
  std::optional<std::int64_t> stored;
  bool json = false;
};

std::string Quota(const std::optional<std::int64_t>& quota) {
  return quota ? std::to_string(*quota) : "-";
}

std::string Describe(const std::vector<domain::ProjectUse>& projects) {
  std::vector<std::vector<std::string>> rows = {{"project", "weight", "jobs", "of", "tasks", "of",
                                                 "stored", "of", "device-seconds", "share", "due"}};
  for (const domain::ProjectUse& use : projects) {
    const auto& quota = use.project.max_stored_bytes;
    rows.push_back({Printable(use.project.name), fmt::format("{:g}", use.project.weight),
                    std::to_string(use.queued_jobs), Quota(use.project.max_queued_jobs),
                    std::to_string(use.running_tasks), Quota(use.project.max_running_tasks),
                    Bytes(static_cast<std::uint64_t>(use.stored_bytes)),
                    quota ? Bytes(static_cast<std::uint64_t>(*quota)) : "-",
                    fmt::format("{:.0f}", use.device_seconds),
                    fmt::format("{:.0f}%", 100 * use.share),
                    fmt::format("{:.0f}%", 100 * use.due)});
  }
  return Table(rows);
}

Result<std::vector<domain::ProjectUse>> List(const Session& session) {
  TYLLM_ASSIGN(const std::unique_ptr<Farm> farm, session.Connect());
  return farm->Projects(session.stop());
}

// What is not given stays as it is; a quota of -1 is none.
void Apply(const std::optional<std::int64_t>& given, std::optional<std::int64_t>& quota) {
  if (given) {
    quota = *given < 0 ? std::nullopt : given;
  }
}

// The project as it is, with what was given.
Result<domain::ProjectChange> ChangeOf(Farm& farm, const Arguments& arguments,
                                       const std::stop_token& stop) {
  TYLLM_ASSIGN(const std::vector<domain::ProjectUse> all, farm.Projects(stop));
  const auto found = std::find_if(all.begin(), all.end(), [&](const domain::ProjectUse& use) {
    return use.project.name == arguments.name;
  });
  domain::ProjectChange change{.request_id = NewRequestId(),
                               .project = {},
                               .etag = std::string(domain::kUnknownProjectEtag)};
  if (found != all.end()) {
    change.project = found->project;
    change.etag = found->etag;
  }
  domain::Project& project = change.project;
  project.name = arguments.name;
  project.weight = arguments.weight.value_or(project.weight);
  Apply(arguments.queued, project.max_queued_jobs);
  Apply(arguments.running, project.max_running_tasks);
  Apply(arguments.stored, project.max_stored_bytes);
  return change;
}

// What somebody else changes meanwhile stays, too.
Result<domain::Project> Set(const Session& session, const Arguments& arguments) {
  constexpr int kTries = 5;
  TYLLM_ASSIGN(const std::unique_ptr<Farm> farm, session.Connect());
  for (int i = 1;; ++i) {
    TYLLM_ASSIGN(const domain::ProjectChange change, ChangeOf(*farm, arguments, session.stop()));
    Result<domain::Project> project = farm->SetProject(change, session.stop());
    if (project.status().code() != StatusCode::kAborted || i == kTries) {
      return project;
    }
  }
}

template <typename T>
cli::ExitCode Print(const Result<T>& result, bool json) {
  if (!result.ok()) {
    return cli::ReportError(result.status(), json);
  }
  fmt::print("{}\n", format::CompactJson(format::ToJson(*result)));
  return cli::ExitCode::kOk;
}

}  // namespace

void DeclareProjects(cli::CommandSpec& spec, Session& session) {
  auto json = std::make_shared<bool>(false);
  spec.description =
      "Weights and quotas, what is queued, running and stored, and the part of the farm that each "
      "got of late and is due.";
  spec.options = {{"--json", "", "print JSON", json.get()}};
  spec.run = [json, &session] {
    const auto projects = List(session);
    if (!projects.ok() || *json) {
      return Print(projects, *json);
    }
    fmt::print("{}", Describe(*projects));
    return cli::ExitCode::kOk;
  };
}

void DeclareSetProject(cli::CommandSpec& spec, Session& session) {
  auto arguments = std::make_shared<Arguments>();
  spec.description =
      "Makes a project or changes what is given of it. Jobs that are there stay. A quota of -1 is "
      "none.";
  spec.options = {
      {"PROJECT", "NAME", "1 to 64 of a-z, 0-9, '-', '_', '.'", &arguments->name, true},
      {"--weight", "N", "of its share of device time", &arguments->weight},
      {"--max-queued-jobs", "N", "that have not ended", &arguments->queued},
      {"--max-running-tasks", "N", "at a time", &arguments->running},
      {"--max-stored-bytes", "N", "of inputs and outputs of its jobs", &arguments->stored},
      {"--json", "", "print JSON", &arguments->json},
  };
  spec.run = [arguments, &session] {
    const auto project = Set(session, *arguments);
    if (!project.ok() || arguments->json) {
      return Print(project, arguments->json);
    }
    fmt::print("project {}: weight {:g}\n", project->name, project->weight);
    return cli::ExitCode::kOk;
  };
}

}  // namespace tyllm::client
