// SPDX-License-Identifier: Apache-2.0
#include "server/web/scrape.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <optional>
#include <system_error>

#include "server/core/count_farm.h"
#include "server/core/explain.h"
#include "server/core/last_backup.h"
#include "server/core/list_workers.h"
#include "server/core/projects.h"
#include "server/core/server_info.h"

namespace tyllm::server::web {

namespace {

using telemetry::Metric;
using telemetry::Metrics;

template <typename States, typename Counts>
void TakeStates(const States& names, const Counts& counts, Metric metric, Metrics& metrics) {
  for (const auto& [state, name] : names.rows()) {
    const auto found = counts.find(state);
    metrics.Set(metric, {name}, found == counts.end() ? 0 : static_cast<double>(found->second));
  }
}

void TakeWorkers(const std::vector<domain::WorkerView>& workers, std::int64_t now,
                 Metrics& metrics) {
  std::int64_t silence = 0;
  int online = 0;
  int drained = 0;
  int benched = 0;
  std::size_t leases = 0;
  for (const domain::WorkerView& worker : workers) {
    const bool takes_work = worker.order.mode == domain::WorkerMode::kActive;
    online += worker.online && takes_work && !worker.bench ? 1 : 0;
    benched += worker.online && takes_work && worker.bench ? 1 : 0;
    drained += worker.online && !takes_work ? 1 : 0;
    leases += worker.tasks.size();
    silence = std::max(silence, worker.online ? now - worker.last_seen_unix_ms : 0);
  }
  metrics.Set(Metric::kWorkerHeartbeatAge, {}, static_cast<double>(silence) / 1000);
  metrics.Set(Metric::kWorkers, {"online"}, online);
  metrics.Set(Metric::kWorkers, {"drained"}, drained);
  metrics.Set(Metric::kWorkers, {"benched"}, benched);
  metrics.Set(Metric::kWorkers, {"offline"},
              static_cast<double>(workers.size()) - online - drained - benched);
  metrics.Set(Metric::kLeases, {}, static_cast<double>(leases));
}

double BytesOf(const Path& file) {
  std::error_code error;  // where there is none yet, it has no bytes
  const std::uintmax_t bytes = std::filesystem::file_size(file, error);
  return error ? 0 : static_cast<double>(bytes);
}

constexpr double kNever = std::numeric_limits<double>::infinity();

void TakeBackup(const Sources& sources, Metrics& metrics) {
  const std::optional<std::int64_t> made = core::LastBackup(sources.files, sources.data);
  metrics.Set(Metric::kBackupAge, {},
              made ? static_cast<double>(sources.backup_age.Of(*made).count()) / 1000 : kNever);
}

void TakeCertificate(const Sources& sources, Metrics& metrics) {
  const auto& end = sources.certificate_end_unix_s;
  const std::int64_t now = sources.machine.UnixMillis() / 1000;
  metrics.Set(Metric::kCertificateRemaining, {}, end ? static_cast<double>(*end - now) : kNever);
}

void TakeProjects(const std::vector<core::ProjectStanding>& projects, Metrics& metrics) {
  for (const core::ProjectStanding& one : projects) {
    const std::string& name = one.use.project.name;
    metrics.SetTotal(Metric::kProjectDeviceSeconds, {name}, one.total_seconds);
    metrics.Set(Metric::kProjectShare, {name}, one.use.share);
    metrics.Set(Metric::kProjectShareDue, {name}, one.use.due);
  }
}

}  // namespace

boost::asio::awaitable<void> Scrape(const Sources& sources) {
  Metrics& metrics = sources.metrics;
  const core::Farm& farm = sources.farm;
  metrics.Set(Metric::kStoreHealthy, {}, farm.parts.store.health().ok() ? 1 : 0);
  metrics.Set(Metric::kBlobStoreBytes, {}, static_cast<double>(farm.parts.blobs.TotalBytes()));
  metrics.Set(Metric::kStartTime, {}, static_cast<double>(farm.started_unix_ms) / 1000);
  metrics.Set(Metric::kBuildInfo, {farm.parts.version}, 1);
  if (const auto free = sources.files.FreeBytes(sources.data); free.ok()) {
    metrics.Set(Metric::kDataFreeBytes, {}, static_cast<double>(*free));
  }
  metrics.Set(Metric::kStoreDatabaseBytes, {}, BytesOf(sources.data / "queue.db"));
  metrics.Set(Metric::kStoreWalBytes, {}, BytesOf(sources.data / "queue.db-wal"));
  TakeBackup(sources, metrics);
  TakeCertificate(sources, metrics);
  if (const auto counts = co_await core::CountFarm(sources.farm); counts.ok()) {
    TakeStates(domain::kJobStateNames, counts->jobs, Metric::kJobs, metrics);
    TakeStates(domain::kTaskStateNames, counts->tasks, Metric::kTasks, metrics);
    for (const auto& [job_class, age] : counts->oldest_due_age_ms) {
      metrics.Set(Metric::kQueueOldestAge, {domain::kJobClassNames.Name(job_class)},
                  static_cast<double>(age) / 1000);
    }
    metrics.Set(Metric::kInvariantViolations, {}, static_cast<double>(counts->violations));
  }
  if (const auto workers = co_await core::ListWorkers(sources.farm); workers.ok()) {
    TakeWorkers(*workers, farm.parts.clock.UnixMillis(), metrics);
  }
  if (const auto projects = co_await core::StandingOfProjects(sources.farm); projects.ok()) {
    TakeProjects(*projects, metrics);
  }
  if (const auto tasks = co_await core::CountUnsatisfiable(sources.farm); tasks.ok()) {
    metrics.Set(Metric::kUnsatisfiableTasks, {}, static_cast<double>(*tasks));
  }
}

}  // namespace tyllm::server::web
