// SPDX-License-Identifier: Apache-2.0
#include <benchmark/benchmark.h>

#include <chrono>
#include <filesystem>
#include <memory>
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

/// One task that runs, and so many that wait for its result; all in one lane.
class Crowd {
 public:
  explicit Crowd(std::int64_t joined) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    auto queue =
        OpenSqliteQueue({.file = folder_ / "queue.db", .toolchain_version = "1", .vfs = {}});
    TYLLM_CHECK(queue.ok());
    queue_ = *std::move(queue);
    Begin();
    Enqueue("model");
    Commit();
    leader_ = Claim();
    for (std::int64_t done = 0; done < joined;) {
      Begin();
      for (int i = 0; i < 2000 && done < joined; ++i, ++done) {
        Enqueue("model");
      }
      Commit();
    }
  }

  ~Crowd() {
    queue_.reset();
    std::filesystem::remove_all(folder_);
  }

  /// Of another model each.
  void EnqueueOthers(int count) {
    Begin();
    for (int i = 0; i < count; ++i) {
      Enqueue("other" + std::to_string(number_));
    }
    Commit();
  }

  AttemptId Claim() {
    Begin();
    const auto lanes = queue_->Lanes(9);
    TYLLM_CHECK(lanes.ok() && !lanes->empty());
    const auto candidates = queue_->Candidates(lanes->front().id, 9, 1);
    TYLLM_CHECK(candidates.ok() && !candidates->empty());
    const auto lease = queue_->StartAttempt(candidates->front().id, {"w", "s"}, 9);
    TYLLM_CHECK(lease.ok());
    Commit();
    return lease->id;
  }

  void Fail(const AttemptId& id) {
    Begin();
    sched::Verdict verdict;
    verdict.again = true;
    TYLLM_CHECK(queue_->EndAttempt(id, sched::Ending::kFailed, verdict, 3).ok());
    Commit();
  }

  void Succeed(const AttemptId& id) {
    Begin();
    TYLLM_CHECK(queue_->Complete(id, {output_, 1, "1"}, 3).ok());
    Commit();
  }

  /// As the server does, some at a time. How many.
  std::int64_t HandDown() {
    std::int64_t count = 0;
    for (bool more = true; more;) {
      Begin();
      more = false;
      for (int i = 0; i < 64;) {
        const auto hits = queue_->CacheHits({.limit = 64 - i});
        TYLLM_CHECK(hits.ok());
        if (hits->empty()) {
          break;
        }
        for (const CacheHit& hit : *hits) {
          TYLLM_CHECK(queue_->SucceedFromCache(hit, 4).ok());
          ++i;
          ++count;
          more = true;
        }
      }
      Commit();
    }
    return count;
  }

  const AttemptId& leader() const { return leader_; }

  void set_leader(const AttemptId& id) { leader_ = id; }

 private:
  void Begin() { TYLLM_CHECK(queue_->Begin().ok()); }

  void Commit() { TYLLM_CHECK(queue_->Commit().ok()); }

  void Enqueue(const std::string& model) {
    NewJob job;
    job.spec.kind = domain::JobKind::kConvert;
    job.spec.name = "tiny";
    job.spec.model = {DigestOf(model), 1};
    job.plan = domain::PlanJob(job.spec);
    job.request_id = std::to_string(number_++);
    TYLLM_CHECK(queue_->Enqueue(job, 1).ok());
  }

  std::filesystem::path folder_ = "store_benchmark.tmp";
  std::unique_ptr<Queue> queue_;
  const BlobId output_{DigestOf(std::string_view("out")), 3};
  AttemptId leader_;
  int number_ = 0;
};

// A claim of a task that has nothing to do with so many others, which wait for one that runs.
void BM_ClaimBesideJoined(benchmark::State& state) {
  Crowd crowd(state.range(0));
  for ([[maybe_unused]] auto _ : state) {
    state.PauseTiming();
    crowd.EnqueueOthers(1);
    state.ResumeTiming();
    benchmark::DoNotOptimize(crowd.Claim());
  }
}

// The attempt that so many wait for fails, and the task is given out again.
void BM_FailedAndClaimedAgain(benchmark::State& state) {
  Crowd crowd(state.range(0));
  for ([[maybe_unused]] auto _ : state) {
    crowd.Fail(crowd.leader());
    crowd.set_leader(crowd.Claim());
  }
}

// The report of the result that so many wait for, and then its handing down.
void BM_ResultOfJoined(benchmark::State& state) {
  double report_ms = 0;
  for ([[maybe_unused]] auto _ : state) {
    state.PauseTiming();
    auto crowd = std::make_unique<Crowd>(state.range(0));
    state.ResumeTiming();
    const auto start = std::chrono::steady_clock::now();
    crowd->Succeed(crowd->leader());
    report_ms =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    TYLLM_CHECK(crowd->HandDown() == state.range(0));
    state.PauseTiming();
    crowd.reset();
    state.ResumeTiming();
  }
  state.counters["report_ms"] = report_ms;
}

BENCHMARK(BM_ClaimBesideJoined)->Arg(0)->Arg(15'000)->Arg(150'000)->UseRealTime();
BENCHMARK(BM_FailedAndClaimedAgain)->Arg(0)->Arg(15'000)->Arg(150'000)->UseRealTime();
BENCHMARK(BM_ResultOfJoined)->Arg(15'000)->Arg(150'000)->Iterations(1)->UseRealTime();
BENCHMARK(BM_Enqueue)->Arg(1)->Arg(32)->UseRealTime();
BENCHMARK(BM_ClaimAndComplete)->Arg(1)->Arg(32)->UseRealTime();

}  // namespace
}  // namespace tyllm::server::store
