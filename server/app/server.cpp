// SPDX-License-Identifier: Apache-2.0
#include "server/app/server.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/thread_pool.hpp>

#include "common/base/version.h"
#include "common/format/json.h"
#include "common/telemetry/metrics.h"
#include "common/wire/certificate.h"
#include "server/app/clocks_by_kind.h"
#include "server/app/control_thread.h"
#include "server/app/data_folder.h"
#include "server/app/embedded_worker.h"
#include "server/app/ends_within.h"
#include "server/app/worker_command.h"
#include "server/blobs/folder_blob_store.h"
#include "server/core/action_cache.h"
#include "server/core/copy_queue.h"
#include "server/core/farm.h"
#include "server/core/retention.h"
#include "server/core/stand_still.h"
#include "server/core/sweep.h"
#include "server/rpc/rpc_server.h"
#include "server/store/sqlite_queue.h"
#include "server/web/health.h"
#include "server/web/http_server.h"
#include "server/web/pages.h"

namespace tyllm::server::app {

namespace {

using std::chrono::hours;
using std::chrono::seconds;

constexpr std::size_t kLongestSocketPath = 107;
constexpr int kTransferThreads = 4;
constexpr int kBlockingThreads = 2;
constexpr Milliseconds kHousekeepingInterval = hours(1);
constexpr int kDiskGraces = 4;  ///< calls that hang on the disk get so many times the others' time

sched::Fairness FairnessOf(const ServerConfig& config) {
  sched::Fairness fairness;
  fairness.half_life = hours(config.share_half_life_hours);
  fairness.interactive_share = static_cast<double>(config.share_interactive_percent) / 100;
  return fairness;
}

core::Limits LimitsOf(const ServerConfig& config) {
  core::Limits limits;
  limits.policy.lease = seconds(config.lease_seconds);
  limits.policy.lease_grace = seconds(config.lease_grace_seconds);
  limits.policy.stall = seconds(config.attempt_stall_seconds);
  limits.policy.deadline = seconds(config.attempt_deadline_seconds);
  limits.policy.failures = static_cast<int>(config.attempt_failures);
  limits.policy.losses = static_cast<int>(config.attempt_losses);
  limits.policy.longest_backoff = seconds(config.attempt_longest_backoff_seconds);
  limits.policy.bench_failures = static_cast<int>(config.bench_failures);
  limits.policy.bench = seconds(config.bench_seconds);
  limits.policy.placement_wait = seconds(config.placement_wait_seconds);
  limits.policy.fairness = FairnessOf(config);
  limits.job_keep = hours(24 * config.keep_job_days);
  limits.result_keep = hours(24 * config.keep_result_days);
  limits.blob_keep = hours(config.keep_blob_hours);
  limits.worker_keep = hours(24 * config.keep_worker_days);
  if (auto by_kind = ClocksByKind(config); by_kind.ok()) {  // as it was when it was loaded
    limits.policy.by_kind = *std::move(by_kind);
  }
  return limits;
}

wire::Security SecurityOf(const ServerConfig& config) {
  return {{config.tls_ca, config.tls_cert, config.tls_key}, config.insecure};
}

// Null when no role is given to anybody, so that all may do everything.
Result<std::shared_ptr<const rpc::Roles>> RolesOf(const ServerConfig& config) {
  auto roles = std::make_shared<rpc::Roles>();
  TYLLM_ASSIGN(roles->client, rpc::ParsePatterns(config.roles_client).Annotate("roles.client"));
  TYLLM_ASSIGN(roles->worker, rpc::ParsePatterns(config.roles_worker).Annotate("roles.worker"));
  TYLLM_ASSIGN(roles->admin, rpc::ParsePatterns(config.roles_admin).Annotate("roles.admin"));
  if (roles->client.empty() && roles->worker.empty() && roles->admin.empty()) {
    return std::shared_ptr<const rpc::Roles>();
  }
  if (config.tls_ca.empty() || config.tls_cert.empty()) {
    return InvalidArgument(
        "roles are given, but callers have no certificates: give tls.ca, tls.cert and tls.key too, "
        "or no roles");
  }
  return std::shared_ptr<const rpc::Roles>(std::move(roles));
}

boost::asio::awaitable<void> KeepTidy(core::Farm& farm) {
  using namespace boost::asio::experimental::awaitable_operators;
  co_await (core::StayAwake(farm) && core::SweepForever(farm) &&
            core::UseCachedResultsForever(farm) && core::RemoveOldForever(farm));
}

}  // namespace

// Members are destroyed in reverse: callers before what they call.
class Server::Assembly {
 public:
  Assembly(const ServerConfig& config, const Surroundings& surroundings, DataFolder folder,
           std::unique_ptr<blobs::BlobStore> blob_store, std::unique_ptr<store::Queue> queue)
      : config_(config),
        surroundings_(surroundings),
        folder_(std::move(folder)),
        blobs_(std::move(blob_store)),
        store_(std::move(queue), surroundings.clock,
               [this](const store::Store::CommitStats& commit) { Observe(commit); }),
        logs_(surroundings.files, folder_.logs()),
        farm_({control_.context().get_executor(), blocking_.get_executor(), store_, logs_, *blobs_,
               surroundings.clock, metrics_, LimitsOf(config), std::string(Version()),
               folder_.copies(), &surroundings.log}) {}

  Status Serve() {
    for (const Status& lacking : store_.lacking()) {
      surroundings_.log.Warning("the queue works, but slower", {{"why", lacking.ToString()}});
    }
    TYLLM_TRY(control_.Await(core::Recover(farm_)));
    control_.RunUntilStopped(KeepTidy(farm_));
    TYLLM_ASSIGN(const web::Sources sources, MakeSources());
    rpc::Environment environment{farm_, metrics_, surroundings_.log};
    TYLLM_ASSIGN(environment.roles, RolesOf(config_));
    environment.open_calls = open_calls_;
    environment.transfers = transfers_.get_executor();
    environment.upload_idle_limit = seconds(config_.upload_idle_seconds);
    TYLLM_ASSIGN(rpc_, rpc::RpcServer::Start(environment, RpcOptions()));
    web::HttpServer::Options http;
    http.listen = config_.http;
    TYLLM_ASSIGN(http_, web::HttpServer::Start(control_.context().get_executor(), http,
                                               web::MakePages(sources)));
    TYLLM_TRY(WriteAddresses());
    if (config_.with_worker) {
      TYLLM_ASSIGN(std::vector<std::string> command, MakeWorkerCommand());
      worker_.emplace(std::move(command), surroundings_.clock, surroundings_.log);
    }
    Tick();
    return OkStatus();
  }

  void Tick() {
    const Status health = web::HealthOf(farm_, surroundings_.files, folder_.root());
    farm_.intake.Set(health);
    rpc_->SetServing(health.ok());
    if (health.ok() != healthy_) {
      healthy_ = health.ok();
      if (healthy_) {
        surroundings_.log.Info("serving");
      } else {
        surroundings_.log.Error("not serving", {{"why", health.message()}});
      }
    }
    if (worker_) {
      worker_->Tick();
    }
    KeepHouse();
  }

  Status Stop() {
    if (std::exchange(stopped_, true)) {
      return end_;
    }
    if (worker_) {
      worker_->Stop(kWorkerStopLimit);  // hands its tasks back, so the server still listens
    }
    farm_.Stop();
    end_ = EndCalls();
    store_.Stop();
    logs_.Stop();
    if (end_.ok()) {
      control_.Stop();
    }
    (void)surroundings_.files.RemoveAll(folder_.server_json());
    return end_;
  }

  const std::string& grpc_address() const { return rpc_->address(); }

  const std::string& http_address() const { return http_->address(); }

 private:
  // gRPC waits for calls that it has broken off until their work on the disk ends.
  Status EndCalls() {
    const seconds grace(config_.shutdown_grace_seconds);
    const seconds limit = grace + kDiskGraces * std::max(grace, seconds(1));
    const bool ended = EndsWithin(limit, [this, grace] {
      if (rpc_) {
        rpc_->SetServing(false);
        rpc_->Shutdown(grace);
      }
      if (http_) {
        http_->Stop();
      }
      transfers_.join();
      blocking_.join();
    });
    if (ended) {
      return OkStatus();
    }
    const std::string calls = open_calls_->ToString();
    return DeadlineExceeded(
        std::to_string(limit.count()) + " s after the server was to stop " +
        (calls.empty() ? "no call was open, but files in " + folder_.blobs().string() +
                             " were still looked at"
                       : "calls had not ended: " + calls) +
        "; the queue is complete on the disk, and the server ends without them. Most often they "
        "wait for the disk: look whether that of " +
        folder_.blobs().string() + " hangs");
  }

  rpc::RpcServer::Options RpcOptions() const {
    rpc::RpcServer::Options options{config_.listen, SecurityOf(config_), {}};
    const Path socket = folder_.root() / "worker.sock";
    const bool fits = socket.string().size() <= kLongestSocketPath;
    if (!config_.tls_cert.empty() && (fits || config_.with_worker)) {
      options.local_socket = socket;
    }
    return options;
  }

  Result<web::Sources> MakeSources() {
    web::Sources sources{
        farm_, metrics_, surroundings_.files, folder_.root(), surroundings_.machine, backup_age_};
    if (!config_.tls_cert.empty()) {  // gRPC read it at the start and does not read it again
      TYLLM_ASSIGN(sources.certificate_end_unix_s, wire::CertificateEnd(config_.tls_cert));
    }
    return sources;
  }

  Result<std::vector<std::string>> MakeWorkerCommand() const {
    WorkerPlace place;
    place.server = rpc_->local_address();
    place.work = folder_.worker();
    place.blobs = folder_.blobs();
    return WorkerCommand(config_, place);
  }

  Status WriteAddresses() const {
    format::Json json = format::Json::object();
    json["grpc"] = rpc_->address();
    json["http"] = http_->address();
    json["local"] = rpc_->local_address();
    json["pid"] = ::getpid();
    json["version"] = std::string(Version());
    return WriteFileAtomically(surroundings_.files, folder_.server_json(),
                               format::PrettyJson(json));
  }

  // On the store's thread.
  void Observe(const store::Store::CommitStats& commit) {
    metrics_.Observe(telemetry::Metric::kStoreCommitSeconds, {}, commit.time.count());
    metrics_.Observe(telemetry::Metric::kStoreOperationsPerCommit, {},
                     static_cast<double>(commit.operations));
    CountEnded(commit.ended);
  }

  // Once a sort, since those that end together are often alike.
  void CountEnded(const std::vector<store::EndedJob>& jobs) {
    for (auto job = jobs.begin(); job != jobs.end(); ++job) {
      if (std::find(jobs.begin(), job, *job) == job) {
        const std::string_view blame = job->blame ? domain::kBlameNames.Name(*job->blame) : "none";
        metrics_.Count(
            telemetry::Metric::kJobsEnded,
            {domain::kJobKindNames.Name(job->kind), domain::kJobStateNames.Name(job->state), blame},
            static_cast<double>(std::count(job, jobs.end(), *job)));
      }
    }
  }

  void KeepHouse() {
    const Clock::Steady now = surroundings_.clock.Now();
    if (housekeeping_ && now - *housekeeping_ < kHousekeepingInterval) {
      return;
    }
    housekeeping_ = now;
    const Milliseconds keep = hours(config_.upload_keep_hours);
    const Status status = blobs_->DropStaleUploads(surroundings_.clock.UnixMillis() - keep.count());
    if (!status.ok()) {
      surroundings_.log.Warning(status.message());
    }
  }

  // Constant after construction.
  const ServerConfig config_;
  const Surroundings surroundings_;
  const DataFolder folder_;

  telemetry::Metrics metrics_;
  ControlThread control_;
  boost::asio::thread_pool transfers_{kTransferThreads};
  boost::asio::thread_pool blocking_{kBlockingThreads};
  std::unique_ptr<blobs::BlobStore> blobs_;
  store::Store store_;
  store::LogStore logs_;
  core::Farm farm_;
  core::BackupAge backup_age_{surroundings_.machine};
  const std::shared_ptr<rpc::OpenCalls> open_calls_ = std::make_shared<rpc::OpenCalls>();
  std::unique_ptr<rpc::RpcServer> rpc_;
  std::unique_ptr<web::HttpServer> http_;
  std::optional<EmbeddedWorker> worker_;
  std::optional<Clock::Steady> housekeeping_;
  bool healthy_ = false;
  bool stopped_ = false;
  Status end_;
};

Server::Server(std::unique_ptr<Assembly> assembly) : assembly_(std::move(assembly)) {}

Server::~Server() {
  if (!Stop().ok()) {
    (void)assembly_.release();  // what hangs refers to it
  }
}

Result<std::unique_ptr<Server>> Server::Start(const ServerConfig& config,
                                              const Surroundings& surroundings) {
  TYLLM_TRY(RolesOf(config).status());  // before anything is made
  TYLLM_ASSIGN(DataFolder folder,
               DataFolder::Open(surroundings.files, std::filesystem::absolute(config.data)));
  TYLLM_ASSIGN(auto blobs,
               blobs::OpenFolderBlobStore(surroundings.files, folder.blobs(), surroundings.clock));
  store::SqliteOptions options;
  options.file = folder.queue();
  options.toolchain_version = Version();
  options.fairness = FairnessOf(config);
  options.copies = folder.copies();
  TYLLM_TRY(core::RemoveOldCopies(folder.copies()));  // of backups that were killed
  TYLLM_ASSIGN(auto queue, store::OpenSqliteQueue(options));
  std::unique_ptr<Server> server(new Server(std::make_unique<Assembly>(
      config, surroundings, std::move(folder), std::move(blobs), std::move(queue))));
  TYLLM_TRY(server->assembly_->Serve());
  return server;
}

const std::string& Server::grpc_address() const {
  return assembly_->grpc_address();
}

const std::string& Server::http_address() const {
  return assembly_->http_address();
}

void Server::Tick() {
  assembly_->Tick();
}

Status Server::Stop() {
  return assembly_->Stop();
}

}  // namespace tyllm::server::app
