// SPDX-License-Identifier: Apache-2.0
#include "server/core/projects.h"

#include <cmath>

#include "common/domain/job.h"
#include "server/core/change_log.h"
#include "server/core/once.h"
#include "server/sched/shares.h"

namespace tyllm::server::core {

namespace {

constexpr double kLargestWeight = 1e6;

struct Found {
  std::vector<store::ProjectRecord> records;
  sched::Shares shares;
};

Result<Found> Find(store::Queue& queue, std::int64_t now) {
  Found found;
  TYLLM_ASSIGN(found.records, queue.ListProjects());
  TYLLM_ASSIGN(found.shares, queue.Shares(now));
  return found;
}

Status CheckQuota(const char* name, const std::optional<std::int64_t>& quota) {
  return !quota || *quota >= 0 ? OkStatus()
                               : InvalidArgument(std::string(name) + " is " +
                                                 std::to_string(*quota) + ", expected 0 or more");
}

Status Check(const domain::Project& project) {
  TYLLM_TRY(domain::CheckProjectName(project.name));
  if (!(project.weight > 0) || project.weight > kLargestWeight) {
    return InvalidArgument("weight is " + std::to_string(project.weight) +
                           ", expected more than 0 and at most 1000000");
  }
  TYLLM_TRY(CheckQuota("max_queued_jobs", project.max_queued_jobs));
  TYLLM_TRY(CheckQuota("max_running_tasks", project.max_running_tasks));
  return CheckQuota("max_stored_bytes", project.max_stored_bytes);
}

Status CheckEtag(store::Queue& queue, const domain::ProjectChange& change) {
  if (change.etag.empty()) {
    return OkStatus();
  }
  const std::string& name = change.project.name;
  TYLLM_ASSIGN(const store::ProjectRecord record, queue.GetProject(name));
  const std::string etag = domain::EtagOf(record.project);
  return etag == change.etag
             ? OkStatus()
             : EtagMismatch("project '" + name + "'", etag, change.etag).With("project", name);
}

}  // namespace

boost::asio::awaitable<Result<std::vector<domain::ProjectUse>>> ListProjects(Farm& farm) {
  TYLLM_CO_ASSIGN(const std::vector<ProjectStanding> standing, co_await StandingOfProjects(farm));
  std::vector<domain::ProjectUse> uses;
  for (const ProjectStanding& one : standing) {
    uses.push_back(one.use);
  }
  co_return uses;
}

boost::asio::awaitable<Result<std::vector<ProjectStanding>>> StandingOfProjects(Farm& farm) {
  const std::int64_t now = farm.parts.clock.UnixMillis();
  TYLLM_CO_ASSIGN(const Found found, co_await farm.parts.store.Look(
                                         [&](store::Queue& queue) { return Find(queue, now); }));
  std::vector<std::string> wanting;
  for (const store::ProjectRecord& record : found.records) {
    if (record.queued_jobs > 0) {
      wanting.push_back(record.project.name);
    }
  }
  auto portions = sched::Portions(found.shares, wanting);
  std::vector<ProjectStanding> standing;
  for (const store::ProjectRecord& record : found.records) {
    domain::ProjectUse use{.project = record.project,
                           .queued_jobs = record.queued_jobs,
                           .stored_bytes = record.stored_bytes,
                           .etag = domain::EtagOf(record.project)};
    if (const auto share = found.shares.projects.find(record.project.name);
        share != found.shares.projects.end()) {
      use.running_tasks = share->second.running_tasks;
      use.device_seconds = share->second.used_seconds + share->second.running_seconds;
    }
    use.share = portions[record.project.name].actual;
    use.due = portions[record.project.name].due;
    standing.push_back({std::move(use), record.total_seconds});
  }
  co_return standing;
}

boost::asio::awaitable<Result<domain::Project>> SetProject(Farm& farm,
                                                           domain::ProjectChange change) {
  const domain::Project& project = change.project;
  TYLLM_CO_TRY(CheckRequestId(change.request_id, false));
  TYLLM_CO_TRY(Check(project));
  const std::int64_t now = farm.parts.clock.UnixMillis();
  const Asked asked = AskedOf(change.request_id, "SetProject",
                              format::CompactJson(format::ToJson(project)) + "\n" + change.etag);
  bool changed = false;
  TYLLM_CO_ASSIGN(
      const store::ProjectRecord record,
      co_await farm.parts.store.Run([&](store::Queue& queue) -> Result<store::ProjectRecord> {
        changed = false;
        const Status made = MakeOnce(queue, asked, std::nullopt, now, [&]() -> Status {
          TYLLM_TRY(CheckEtag(queue, change));
          changed = true;
          return queue.SetProject(project);
        });
        TYLLM_TRY(made);
        return queue.GetProject(project.name);
      }));
  if (changed) {
    LogChange(farm, "project set", {"project", project.name}, change.by);
  }
  farm.signals.Notify(Topic::Work());  // its limits may be wider now
  co_return record.project;
}

}  // namespace tyllm::server::core
