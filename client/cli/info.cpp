// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <memory>

#include "client/cli/commands.h"
#include "client/cli/show.h"

namespace tyllm::client {

namespace {

struct Arguments {
  std::string project;
  bool json = false;
};

struct Found {
  domain::ServerInfo info;
  domain::ServerCapabilities capabilities;
};

Result<Found> Ask(const Session& session, const std::string& project) {
  TYLLM_ASSIGN(const std::unique_ptr<Farm> farm, session.Connect());
  Found found;
  TYLLM_ASSIGN(found.info, farm->Info(session.stop()));
  TYLLM_ASSIGN(found.capabilities, farm->Capabilities(project, session.stop()));
  return found;
}

format::Json ToJson(const Found& found) {
  format::Json json = format::Json::object();
  json["version"] = found.info.version;
  json["schema_version"] = found.info.schema_version;
  json["started_unix_ms"] = found.info.started_unix_ms;
  json["blob_bytes"] = found.info.blob_bytes;
  json["api_versions"] = found.capabilities.api_versions;
  json["features"] = found.capabilities.features;
  json["caller"] = found.capabilities.caller;
  for (const auto& [state, count] : found.info.jobs_by_state) {
    json["jobs"][std::string(domain::kJobStateNames.Name(state))] = count;
  }
  if (found.capabilities.queued_jobs_left) {
    json["queued_jobs_left"] = *found.capabilities.queued_jobs_left;
  }
  if (found.capabilities.stored_bytes_left) {
    json["stored_bytes_left"] = *found.capabilities.stored_bytes_left;
  }
  return json;
}

void Print(const Found& found) {
  fmt::print("tyllm-server {}, schema {}, blobs {}\n", Printable(found.info.version),
             found.info.schema_version, Bytes(found.info.blob_bytes));
  if (!found.capabilities.caller.empty()) {
    fmt::print("you are known as: {}\n", Printable(found.capabilities.caller));
  }
  for (const auto& [state, count] : found.info.jobs_by_state) {
    fmt::print("jobs {}: {}\n", domain::kJobStateNames.Name(state), count);
  }
  if (found.capabilities.queued_jobs_left) {
    fmt::print("jobs that the project may still queue: {}\n", *found.capabilities.queued_jobs_left);
  }
  if (found.capabilities.stored_bytes_left) {
    fmt::print("bytes that it may still store: {}\n",
               Bytes(static_cast<std::uint64_t>(*found.capabilities.stored_bytes_left)));
  }
}

}  // namespace

void DeclareInfo(cli::CommandSpec& spec, Session& session) {
  auto arguments = std::make_shared<Arguments>();
  spec.options = {
      {"--project", "NAME", "whose quota to tell", &arguments->project},
      {"--json", "", "print JSON", &arguments->json},
  };
  spec.run = [arguments, &session] {
    const auto found = Ask(session, arguments->project);
    if (!found.ok()) {
      return cli::ReportError(found.status(), arguments->json);
    }
    if (arguments->json) {
      fmt::print("{}\n", format::CompactJson(ToJson(*found)));
    } else {
      Print(*found);
    }
    return cli::ExitCode::kOk;
  };
}

}  // namespace tyllm::client
