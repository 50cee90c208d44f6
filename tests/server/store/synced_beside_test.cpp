// SPDX-License-Identifier: Apache-2.0
// A transaction is made while the last one is made durable, and nobody is told too early.
#include <gtest/gtest.h>

#include <algorithm>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include "common/base/guarded.h"
#include "server/store/store.h"
#include "tests/server/store/memory_queue.h"
#include "tests/server/store/samples.h"

namespace tyllm::server::store {
namespace {

/// What a test sees and decides of the log's disk.
struct Disk {
  int syncs = 0;
  bool fails = false;
  bool open = true;  ///< syncs go through
  bool at_sync = false;
};

/// A log whose syncs the test lets through.
class WatchedLog final : public LogSync {
 public:
  explicit WatchedLog(Guarded<Disk>& disk) : disk_(disk) {}

  Status Sync() override {
    auto view = disk_.Lock();
    view->at_sync = true;
    disk_.Notify();
    view.Wait([](const Disk& disk) { return disk.open; });
    view->at_sync = false;
    ++view->syncs;
    return view->fails ? Unavailable("the disk is broken") : OkStatus();
  }

 private:
  Guarded<Disk>& disk_;
};

/// Commits show at once and are durable when the log says so.
class QueueWithLog final : public MemoryQueue {
 public:
  explicit QueueWithLog(Guarded<Disk>& disk) : MemoryQueue("1.0"), disk_(disk) {}

  Result<std::unique_ptr<LogSync>> OpenLogSync() override {
    return std::unique_ptr<LogSync>(std::make_unique<WatchedLog>(disk_));
  }

 private:
  Guarded<Disk>& disk_;
};

class SyncedBesideTest : public ::testing::Test {
 protected:
  void Change(const std::function<void(Disk&)>& how) {
    auto view = disk_.Lock();
    how(*view);
    disk_.Notify();
  }

  void WaitForSync() {
    auto view = disk_.Lock();
    view.Wait([](const Disk& disk) { return disk.at_sync; });
  }

  void WaitUntilPerformed(int operations) {
    auto view = performed_.Lock();
    view.Wait([&](int performed) { return performed >= operations; });
  }

  /// Begins an enqueue.
  void Enqueue(const std::string& request_id) {
    boost::asio::co_spawn(context_, EnqueueOne(request_id), boost::asio::detached);
    context_.restart();
    context_.poll();
  }

  boost::asio::awaitable<void> EnqueueOne(std::string request_id) {
    const NewJob job = SampleJob(request_id, domain::JobKind::kConvert);
    const Result<JobId> id = co_await store_.Run([&](Queue& queue) {
      Result<JobId> made = queue.Enqueue(job, 1);
      auto view = performed_.Lock();
      ++*view;
      performed_.Notify();
      return made;
    });
    done_.push_back(id.status());
  }

  /// Begins a look at how many jobs there are.
  void Count() {
    boost::asio::co_spawn(context_, CountThem(), boost::asio::detached);
    context_.restart();
    context_.poll();
  }

  boost::asio::awaitable<void> CountThem() {
    const auto counts = co_await store_.Look([](Queue& queue) { return queue.CountJobs(); });
    counted_.push_back(counts.ok() ? counts->at(domain::JobState::kQueued) : -1);
  }

  void Run() {
    context_.restart();
    context_.run();
  }

  ManualClock clock_;
  Guarded<Disk> disk_;
  Guarded<int> performed_;
  boost::asio::io_context context_{1};
  std::vector<Status> done_;
  std::vector<std::int64_t> counted_;
  Store store_{std::make_unique<QueueWithLog>(disk_), clock_};
};

TEST_F(SyncedBesideTest, TheNextTransactionIsMadeWhileTheLastIsSyncedAndNobodyIsToldBefore) {
  Change([](Disk& disk) { disk.open = false; });
  Enqueue("first");
  WaitForSync();
  Enqueue("second");
  WaitUntilPerformed(2);
  Enqueue("third");
  WaitUntilPerformed(3);
  context_.restart();
  context_.poll();
  EXPECT_TRUE(done_.empty());
  Change([](Disk& disk) { disk.open = true; });
  Run();
  ASSERT_EQ(done_.size(), 3U);
  EXPECT_EQ(std::ranges::count_if(done_, &Status::ok), 3);
  auto view = disk_.Lock();
  EXPECT_EQ(view->syncs, 2) << "what came during a sync shares the next one";
}

TEST_F(SyncedBesideTest, ALookIsAnsweredWhenWhatItSawIsDurable) {
  Count();
  Run();
  Change([](Disk& disk) { disk.open = false; });
  Enqueue("first");
  WaitForSync();
  Count();
  context_.restart();
  context_.poll();
  EXPECT_EQ(counted_, std::vector<std::int64_t>{0});
  Change([](Disk& disk) { disk.open = true; });
  Run();
  EXPECT_EQ(counted_.at(1), 1);
  EXPECT_EQ(done_.size(), 1U);
}

TEST_F(SyncedBesideTest, AGlanceIsAnsweredBefore) {
  Change([](Disk& disk) { disk.open = false; });
  Enqueue("first");
  WaitForSync();
  std::int64_t jobs = -1;
  boost::asio::co_spawn(
      context_,
      [&]() -> boost::asio::awaitable<void> {
        const auto counts = co_await store_.Glance([](Queue& queue) { return queue.CountJobs(); });
        jobs = counts.ok() ? counts->at(domain::JobState::kQueued) : -2;
      },
      boost::asio::detached);
  while (jobs == -1) {
    context_.restart();
    context_.run_one();
  }
  EXPECT_EQ(jobs, 1);
  EXPECT_TRUE(done_.empty());
  Change([](Disk& disk) { disk.open = true; });
  Run();
  EXPECT_EQ(done_.size(), 1U);
}

TEST_F(SyncedBesideTest, ASyncThatFailsIsAnsweredAsThatToAllAndStopsTheStore) {
  Change([](Disk& disk) { disk.open = false; });
  Enqueue("first");
  WaitForSync();
  Enqueue("second");
  WaitUntilPerformed(2);
  Change([](Disk& disk) { disk.open = disk.fails = true; });
  Run();
  Change([](Disk& disk) { disk.fails = false; });
  Enqueue("third");
  Count();
  Run();
  ASSERT_EQ(done_.size(), 3U);
  for (const Status& status : done_) {
    EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  }
  EXPECT_EQ(counted_, std::vector<std::int64_t>{-1});
  EXPECT_EQ(store_.health().code(), StatusCode::kUnavailable);
  auto view = disk_.Lock();
  EXPECT_EQ(view->syncs, 1) << "nothing is synced after a sync that failed";
}

TEST_F(SyncedBesideTest, StoppingMakesDurableWhatWasBegun) {
  Change([](Disk& disk) { disk.open = false; });
  Enqueue("first");
  WaitForSync();
  Enqueue("second");
  WaitUntilPerformed(2);
  Change([](Disk& disk) { disk.open = true; });
  store_.Stop();
  Run();
  EXPECT_EQ(std::ranges::count_if(done_, &Status::ok), 2);
}

}  // namespace
}  // namespace tyllm::server::store
