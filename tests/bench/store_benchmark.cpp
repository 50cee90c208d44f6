// SPDX-License-Identifier: Apache-2.0
#include <benchmark/benchmark.h>

#include <filesystem>
#include <string>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include "server/store/sqlite_queue.h"
#include "server/store/store.h"

// Durable operations per second of the queue with group commit: `Arg` clients that each wait for
// their answer. Run with --benchmark_format=json. The database lies in the current folder: run it
// on the disk that is meant.
namespace tyllm::server::store {
namespace {

constexpr int kOperationsAClient = 50;

class Farm {
 public:
  Farm() {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    auto queue =
        OpenSqliteQueue({.file = folder_ / "queue.db", .toolchain_version = "1", .vfs = {}});
    TYLLM_CHECK(queue.ok());
    store_.emplace(*std::move(queue), SystemClock());
  }

  ~Farm() {
    store_.reset();
    std::filesystem::remove_all(folder_);
  }

  void RunClients(std::int64_t clients,
                  boost::asio::awaitable<void> (Farm::*client)(std::int64_t)) {
    boost::asio::io_context context(1);
    for (std::int64_t i = 0; i < clients; ++i) {
      boost::asio::co_spawn(context, (this->*client)(i), boost::asio::detached);
    }
    context.run();
  }

  boost::asio::awaitable<void> Enqueue(std::int64_t client) {
    NewJob job;
    job.spec.kind = domain::JobKind::kConvert;
    job.spec.name = "tiny";
    job.spec.model = {DigestOf(std::string_view("model")), 1};
    job.spec.no_cache = true;
    job.plan = domain::PlanJob(job.spec);
    for (int i = 0; i < kOperationsAClient; ++i) {
      job.request_id =
          std::to_string(round_) + "/" + std::to_string(client) + "/" + std::to_string(i);
      const Result<JobId> id =
          co_await store_->Run([&](Queue& queue) { return queue.Enqueue(job, 1); });
      TYLLM_CHECK(id.ok());
    }
  }

  boost::asio::awaitable<void> ClaimAndComplete(std::int64_t client) {
    const WorkerSession worker{"w" + std::to_string(client), "s"};
    const BlobId output{DigestOf(std::string_view("out")), 3};
    for (int i = 0; i < kOperationsAClient; ++i) {
      const Result<AttemptId> claimed =
          co_await store_->Run([&](Queue& queue) { return Claim(queue, worker); });
      TYLLM_CHECK(claimed.ok());
      const Status done = co_await store_->Run(
          [&](Queue& queue) { return queue.Succeed(*claimed, output, std::nullopt, 3); });
      TYLLM_CHECK(done.ok());
    }
  }

  void NextRound() { ++round_; }

 private:
  static Result<AttemptId> Claim(Queue& queue, const WorkerSession& worker) {
    TYLLM_ASSIGN(const auto lanes, queue.Lanes(2));
    if (lanes.empty()) {
      return NotFound("nothing queued");
    }
    TYLLM_ASSIGN(const auto candidates, queue.Candidates(lanes.front().id, 2, 1));
    TYLLM_CHECK(!candidates.empty());
    TYLLM_ASSIGN(const Lease lease, queue.StartAttempt(candidates.front().id, worker, 2));
    return lease.id;
  }

  std::filesystem::path folder_ = "store_benchmark.tmp";
  std::optional<Store> store_;
  int round_ = 0;
};

void BM_Enqueue(benchmark::State& state) {
  Farm farm;
  for ([[maybe_unused]] auto _ : state) {
    farm.RunClients(state.range(0), &Farm::Enqueue);
    farm.NextRound();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0) * kOperationsAClient);
}

void BM_ClaimAndComplete(benchmark::State& state) {
  Farm farm;
  for ([[maybe_unused]] auto _ : state) {
    state.PauseTiming();
    farm.RunClients(state.range(0), &Farm::Enqueue);
    farm.NextRound();
    state.ResumeTiming();
    farm.RunClients(state.range(0), &Farm::ClaimAndComplete);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0) * kOperationsAClient);
}

BENCHMARK(BM_Enqueue)->Arg(1)->Arg(32)->UseRealTime();
BENCHMARK(BM_ClaimAndComplete)->Arg(1)->Arg(32)->UseRealTime();

}  // namespace
}  // namespace tyllm::server::store
