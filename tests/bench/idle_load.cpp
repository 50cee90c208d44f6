// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/idle_load.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <atomic>
#include <cstdio>
#include <latch>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/queue_load.h"
#include "tyllm/v1/jobs.grpc.pb.h"
#include "tyllm/v1/workers.grpc.pb.h"

namespace tyllm::bench {

namespace {

struct Tally {
  std::atomic<long> calls = 0;
  std::atomic<long> broken = 0;
  std::atomic<bool> leaving = false;
};

/// Asks for work again and again, in the pace that the server sets.
class IdleWorker {
 public:
  IdleWorker(std::shared_ptr<grpc::Channel> channel, const std::string& name, Tally& tally,
             std::latch& gone)
      : stub_(v1::WorkerService::NewStub(channel)), tally_(tally), gone_(gone) {
    request_.set_worker(name);
    request_.set_session(name);
    request_.mutable_capabilities()->set_slots(1);
    request_.mutable_capabilities()->add_kinds(v1::TASK_KIND_EVALUATE);
    request_.set_wait_ms(60'000);
  }

  void Next() {
    context_.emplace();
    stub_->async()->Sync(&*context_, &request_, &response_, [this](const grpc::Status& status) {
      ++tally_.calls;
      if (tally_.leaving) {
        gone_.count_down();
        return;
      }
      if (!status.ok()) {
        ++tally_.broken;
      }
      Next();
    });
  }

  void Leave() { context_->TryCancel(); }

 private:
  std::unique_ptr<v1::WorkerService::Stub> stub_;
  Tally& tally_;
  std::latch& gone_;
  std::optional<grpc::ClientContext> context_;
  v1::SyncRequest request_;
  v1::SyncResponse response_;
};

/// Follows a job's events.
class Watcher final : public grpc::ClientReadReactor<v1::WatchJobResponse> {
 public:
  Watcher(std::shared_ptr<grpc::Channel> channel, const std::string& job, Tally& tally,
          std::latch& came, std::latch& gone)
      : stub_(v1::JobService::NewStub(channel)), tally_(tally), came_(came), gone_(gone) {
    request_.set_job_id(job);
    stub_->async()->WatchJob(&context_, &request_, this);
    StartRead(&response_);
    StartCall();
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      return;
    }
    if (!std::exchange(heard_, true)) {
      came_.count_down();
    }
    StartRead(&response_);
  }

  void OnDone(const grpc::Status& /*status*/) override {
    if (!tally_.leaving) {
      ++tally_.broken;
    }
    gone_.count_down();
  }

  void Leave() { context_.TryCancel(); }

 private:
  std::unique_ptr<v1::JobService::Stub> stub_;
  Tally& tally_;
  std::latch& came_;
  std::latch& gone_;
  grpc::ClientContext context_;
  v1::WatchJobRequest request_;
  v1::WatchJobResponse response_;
  bool heard_ = false;
};

std::vector<std::string> SubmitJobs(const MeasuredServer& server, const BlobId& model, int count) {
  const auto stub = v1::JobService::NewStub(server.Connect());
  std::vector<std::string> jobs;
  for (int i = 0; i < count; ++i) {
    grpc::ClientContext context;
    v1::SubmitJobResponse response;
    const grpc::Status status = stub->SubmitJob(
        &context, JobOf(v1::JOB_KIND_CONVERT, "watched" + std::to_string(i), i, model), &response);
    if (!status.ok()) {
      std::fprintf(stderr, "submitting failed: %s\n", status.error_message().c_str());
      std::exit(1);
    }
    jobs.push_back(response.job().id());
  }
  return jobs;
}

}  // namespace

IdleCost MeasureIdle(const MeasuredServer& server, const BlobId& model, const Idlers& idlers,
                     std::chrono::seconds time) {
  IdleCost cost;
  const std::vector<std::string> jobs = SubmitJobs(server, model, idlers.watchers);
  cost.empty_mib = server.Read().resident_mib;
  Tally tally;
  std::latch came(idlers.watchers);
  std::latch gone(idlers.workers + idlers.watchers);
  std::vector<std::unique_ptr<IdleWorker>> workers;
  std::vector<std::unique_ptr<Watcher>> watchers;
  for (int i = 0; i < idlers.workers; ++i) {
    workers.push_back(
        std::make_unique<IdleWorker>(server.Connect(), "idle" + std::to_string(i), tally, gone));
    workers.back()->Next();
  }
  for (int i = 0; i < idlers.watchers; ++i) {
    watchers.push_back(std::make_unique<Watcher>(
        server.Connect(), jobs[static_cast<std::size_t>(i)], tally, came, gone));
  }
  came.wait();
  // Once around, so that every worker has come and connections are as they stay.
  std::this_thread::sleep_for(std::chrono::seconds(25));
  const Usage before = server.Read();
  const long calls_before = tally.calls;
  const auto start = std::chrono::steady_clock::now();
  std::this_thread::sleep_for(time);
  const Usage after = server.Read();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  cost.calls = tally.calls - calls_before;
  cost.broken = tally.broken;
  cost.cores = (after.cpu_seconds - before.cpu_seconds) / took.count();
  cost.resident_mib = after.resident_mib;
  tally.leaving = true;
  for (const auto& worker : workers) {
    worker->Leave();
  }
  for (const auto& watcher : watchers) {
    watcher->Leave();
  }
  gone.wait();
  return cost;
}

}  // namespace tyllm::bench
