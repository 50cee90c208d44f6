// SPDX-License-Identifier: Apache-2.0
#include "tests/server/core/farm_fixture.h"

#include <future>

#include <boost/asio/post.hpp>

#include "server/blobs/folder_blob_store.h"
#include "server/core/action_cache.h"
#include "server/core/append_log.h"
#include "server/core/cancel_job.h"
#include "server/core/get_job.h"
#include "server/core/set_worker_mode.h"
#include "server/core/submit_job.h"
#include "server/core/sweep.h"
#include "server/core/sync_worker.h"
#include "server/store/sqlite_queue.h"
#include "tests/server/core/await.h"

namespace tyllm::server::core {

FarmFixture::FarmFixture() {
  auto blobs = blobs::OpenFolderBlobStore(LocalFileSystem(), folder_ / "blobs", clock_);
  TYLLM_CHECK(blobs.ok());
  blobs_ = *std::move(blobs);
  Start();
}

FarmFixture::~FarmFixture() {
  Stop();
  blocking_.join();
}

void FarmFixture::Start() {
  control_ = std::make_unique<boost::asio::io_context>(1);
  auto queue =
      store::OpenSqliteQueue({.file = folder_ / "queue.db", .toolchain_version = "1.0", .vfs = {}});
  TYLLM_CHECK(queue.ok());
  store_ = std::make_unique<store::Store>(*std::move(queue), clock_);
  logs_ = std::make_unique<store::LogStore>(LocalFileSystem(), folder_ / "logs");
  metrics_ = std::make_unique<telemetry::Metrics>();
  farm_ = std::make_unique<Farm>(Farm::Parts{.control = control_->get_executor(),
                                             .blocking = blocking_.get_executor(),
                                             .store = *store_,
                                             .logs = *logs_,
                                             .blobs = *blobs_,
                                             .clock = clock_,
                                             .metrics = *metrics_,
                                             .limits = limits_,
                                             .version = "1.0",
                                             .copies = copies_});
  EXPECT_TRUE(Await(Recover(*farm_)).ok());
}

void FarmFixture::Stop() {
  store_->Stop();
  logs_->Stop();
  // What the one blocking thread still finishes belongs to the control context.
  std::promise<void> idle;
  boost::asio::post(blocking_, [&] { idle.set_value(); });
  idle.get_future().wait();
  farm_.reset();
  control_.reset();
  store_.reset();
}

void FarmFixture::Restart() {
  Stop();
  Start();
}

Result<JobView> FarmFixture::Submit(const std::string& request_id, const domain::JobSpec& spec) {
  return Await(SubmitJob(*farm_, {request_id, spec}));
}

JobView FarmFixture::Get(JobId job) {
  return *Await(GetJob(*farm_, job));
}

Result<JobView> FarmFixture::Cancel(JobId job) {
  domain::JobChange change;
  change.job = job;
  return Await(CancelJob(*farm_, change));
}

Result<SyncReply> FarmFixture::Sync(const SyncRequest& request) {
  auto reply = Await(SyncWorker(*farm_, request));
  EXPECT_TRUE(Settle().ok());
  return reply;
}

Result<std::int64_t> FarmFixture::Append(const domain::LogAppend& append) {
  return Await(AppendLog(*farm_, append));
}

Status FarmFixture::Sweep() {
  return Await(core::Sweep(*farm_));
}

Status FarmFixture::Settle() {
  return Await(UseCachedResults(*farm_));
}

Status FarmFixture::Order(const std::string& worker, domain::WorkerMode mode) {
  return Await(SetWorkerMode(*farm_, {worker, {mode, "as the test says"}})).status();
}

domain::JobSpec FarmFixture::Spec(JobKind kind, std::int64_t dies) {
  domain::JobSpec spec;
  spec.kind = kind;
  spec.name = "tiny";
  spec.model = Upload("a model");
  spec.compile.dies = dies;
  return spec;
}

BlobId FarmFixture::Upload(const std::string& content) {
  const auto file = blobs_->WriteSmall(content);
  const format::Tree tree{{{.path = "file", .blob = *file}}};
  return *blobs_->WriteSmall(format::ToText(tree));
}

std::string FarmFixture::Show(JobId id) {
  std::string text;
  const JobView job = Get(id);
  for (const domain::TaskView& task : job.tasks) {
    text += (text.empty() ? "" : ", ") + task.label + " " +
            std::string(domain::kTaskStateNames.Name(task.state));
  }
  return text + "; " + std::string(domain::kJobStateNames.Name(job.state));
}

SyncRequest FarmFixture::From(const std::string& worker, std::vector<HeldAttempt> held,
                              const std::string& session) {
  SyncRequest request;
  request.from = {worker, session};
  request.capabilities.slots = 1;
  request.capabilities.toolchain_version = "1.0";
  request.capabilities.tools = {{"sim-x86_64", "cc 1"}};
  request.held = std::move(held);
  return request;
}

std::vector<domain::Assignment> FarmFixture::Ask(const std::string& worker) {
  const auto reply = Sync(From(worker));
  EXPECT_TRUE(reply.ok()) << reply.status().ToString();
  return reply.ok() ? reply->start : std::vector<domain::Assignment>();
}

SyncReply FarmFixture::Report(const std::string& worker, const AttemptId& id,
                              domain::Outcome outcome) {
  const auto reply =
      Sync(From(worker, {{.id = id, .progress = {}, .outcome = std::move(outcome)}}));
  EXPECT_TRUE(reply.ok()) << reply.status().ToString();
  return reply.ok() ? *reply : SyncReply{};
}

}  // namespace tyllm::server::core
