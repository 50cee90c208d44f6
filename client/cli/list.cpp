// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

#include "client/cli/commands.h"
#include "client/cli/show.h"
#include "common/domain/views_json.h"

namespace tyllm::client {

namespace {

struct Listing {
  std::vector<std::string> states;
  std::vector<std::string> kinds;
  std::vector<std::string> labels;
  domain::JobQuery query;
  std::int64_t limit = 50;
  bool mine = false;
  bool json = false;
};

// "NAME" or "NAME=VALUE".
std::map<std::string, std::string> LabelsOf(const std::vector<std::string>& texts) {
  std::map<std::string, std::string> labels;
  for (const std::string& label : texts) {
    const std::size_t equals = std::min(label.find('='), label.size());
    labels[label.substr(0, equals)] =
        equals < label.size() ? label.substr(equals + 1) : std::string();
  }
  return labels;
}

// The name by which the server knows who asks.
Result<std::string> OwnName(Farm& farm, const domain::JobQuery& query,
                            const std::stop_token& stop) {
  if (!query.submitted_by.empty()) {
    return InvalidArgument("--mine and --submitted-by are given; give one of them");
  }
  TYLLM_ASSIGN(const domain::ServerCapabilities server, farm.Capabilities({}, stop));
  if (server.caller.empty()) {
    return FailedPrecondition(
        "--mine: the server knows you by no name: names are those of the clients' certificates; "
        "give --tls-cert and --tls-key where the server has TLS, or leave --mine out");
  }
  return server.caller;
}

Result<std::vector<domain::JobView>> AllPages(const Session& session, const Listing& listing) {
  domain::JobQuery query = listing.query;
  for (const std::string& state : listing.states) {
    TYLLM_ASSIGN(query.states.emplace_back(), domain::kJobStateNames.Parse(state));
  }
  for (const std::string& kind : listing.kinds) {
    TYLLM_ASSIGN(query.kinds.emplace_back(), domain::kJobKindNames.Parse(kind));
  }
  query.labels = LabelsOf(listing.labels);
  TYLLM_ASSIGN(const std::unique_ptr<Farm> farm, session.Connect());
  if (listing.mine) {
    TYLLM_ASSIGN(query.submitted_by, OwnName(*farm, query, session.stop()));
  }
  std::vector<domain::JobView> jobs;
  do {
    query.page_size =
        std::min<std::int64_t>(listing.limit - static_cast<std::int64_t>(jobs.size()), 1000);
    TYLLM_ASSIGN(domain::JobPage page, farm->List(query, session.stop()));
    jobs.insert(jobs.end(), page.jobs.begin(), page.jobs.end());
    query.page_token = page.next_page_token;
  } while (!query.page_token.empty() && static_cast<std::int64_t>(jobs.size()) < listing.limit);
  return jobs;
}

cli::ExitCode Run(const Session& session, const Listing& listing) {
  if (listing.limit < 1) {
    return cli::ReportError(InvalidArgument("--limit is below 1; give how many jobs to list"),
                            listing.json);
  }
  const auto jobs = AllPages(session, listing);
  if (!jobs.ok()) {
    return cli::ReportError(jobs.status(), listing.json);
  }
  fmt::print("{}",
             listing.json ? format::CompactJson(format::ToJson(*jobs)) + "\n" : Describe(*jobs));
  return cli::ExitCode::kOk;
}

struct WorkerListing {
  bool online = false;
  std::vector<std::string> modes;
  std::vector<std::string> labels;
  bool json = false;
};

Result<std::vector<domain::WorkerView>> WorkersThatFit(const Session& session,
                                                       const WorkerListing& listing) {
  domain::WorkerQuery query;
  query.online_only = listing.online;
  query.labels = LabelsOf(listing.labels);
  for (const std::string& mode : listing.modes) {
    TYLLM_ASSIGN(query.modes.emplace_back(), domain::kWorkerModeNames.Parse(mode));
  }
  TYLLM_ASSIGN(const std::unique_ptr<Farm> farm, session.Connect());
  return farm->Workers(std::move(query), session.stop());
}

cli::ExitCode RunWorkers(const Session& session, const WorkerListing& listing) {
  const bool json = listing.json;
  const auto workers = WorkersThatFit(session, listing);
  if (!workers.ok()) {
    return cli::ReportError(workers.status(), json);
  }
  fmt::print("{}",
             json ? format::CompactJson(format::ToJson(*workers)) + "\n" : Describe(*workers));
  return cli::ExitCode::kOk;
}

}  // namespace

void DeclareList(cli::CommandSpec& spec, Session& session) {
  auto listing = std::make_shared<Listing>();
  spec.options = {
      {"--state", "STATE", "only jobs in this state; repeatable", &listing->states},
      {"--kind", "KIND", "only jobs of this kind; repeatable", &listing->kinds},
      {"--label", "NAME[=VALUE]", "only jobs with this label; repeatable, all must fit",
       &listing->labels},
      {"--project", "NAME", "only jobs of this project", &listing->query.project},
      {"--mine", "", "only jobs that you have submitted, by your certificate's name",
       &listing->mine},
      {"--submitted-by", "NAME", "only jobs that somebody has submitted",
       &listing->query.submitted_by},
      {"--name", "PREFIX", "only jobs whose model's name begins so", &listing->query.name_prefix},
      {"--order", "", "newest, oldest, ended (last ended first) or priority",
       cli::OneOf(domain::kJobOrderNames, &listing->query.order)},
      {"--limit", "N", "at most so many", &listing->limit},
      {"--json", "", "print JSON", &listing->json},
  };
  spec.run = [listing, &session] { return Run(session, *listing); };
}

void DeclareWorkers(cli::CommandSpec& spec, Session& session) {
  auto listing = std::make_shared<WorkerListing>();
  spec.options = {
      {"--online", "", "only those that are there", &listing->online},
      {"--mode", "MODE", "only workers in this mode; repeatable", &listing->modes},
      {"--label", "NAME[=VALUE]", "only workers with this label; repeatable, all must fit",
       &listing->labels},
      {"--json", "", "print JSON", &listing->json},
  };
  spec.run = [listing, &session] { return RunWorkers(session, *listing); };
}

}  // namespace tyllm::client
