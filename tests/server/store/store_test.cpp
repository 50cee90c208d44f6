// SPDX-License-Identifier: Apache-2.0
#include "server/store/store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include "common/base/guarded.h"
#include "tests/server/store/memory_queue.h"
#include "tests/server/store/samples.h"

namespace tyllm::server::store {
namespace {

/// What a test sees and decides of a queue on the store's thread.
struct Disk {
  int commits = 0;
  bool commits_fail = false;
  bool open = true;  ///< commits go through
  bool one = false;  ///< only the next one does
  bool at_commit = false;
};

class WatchedQueue final : public MemoryQueue {
 public:
  explicit WatchedQueue(Guarded<Disk>& disk) : MemoryQueue("1.0"), disk_(disk) {}

  Result<bool> Commit() override {
    auto view = disk_.Lock();
    view->at_commit = true;
    disk_.Notify();
    view.Wait([](const Disk& disk) { return disk.open || disk.one; });
    view->at_commit = false;
    view->one = false;
    ++view->commits;
    if (view->commits_fail) {
      return ResourceExhausted("disk full");
    }
    return MemoryQueue::Commit();
  }

 private:
  Guarded<Disk>& disk_;
};

class StoreTest : public ::testing::Test {
 protected:
  void Change(const std::function<void(Disk&)>& how) {
    auto view = disk_.Lock();
    how(*view);
    disk_.Notify();
  }

  /// Begins an enqueue; `done` gets its result.
  void Enqueue(const std::string& request_id, std::vector<Status>& done) {
    boost::asio::co_spawn(context_, EnqueueOne(request_id, done), boost::asio::detached);
  }

  boost::asio::awaitable<void> EnqueueOne(std::string request_id, std::vector<Status>& done) {
    const NewJob job = SampleJob(request_id, domain::JobKind::kConvert);
    const Result<JobId> id =
        co_await store_.Run([&](Queue& queue) { return queue.Enqueue(job, 1); });
    done.push_back(id.status());
  }

  void WaitForCommit() {
    auto view = disk_.Lock();
    view.Wait([](const Disk& disk) { return disk.at_commit; });
  }

  boost::asio::awaitable<void> Count(std::int64_t& jobs) {
    const auto counts = co_await store_.Look([](Queue& queue) { return queue.CountJobs(); });
    jobs = counts.ok() ? counts->at(domain::JobState::kQueued) : -1;
  }

  std::int64_t CountJobs() {
    std::int64_t jobs = 0;
    boost::asio::co_spawn(context_, Count(jobs), boost::asio::detached);
    context_.restart();
    context_.run();
    return jobs;
  }

  void Run() {
    context_.restart();
    context_.run();
  }

  ManualClock clock_;
  Guarded<Disk> disk_;
  boost::asio::io_context context_{1};
  Guarded<std::vector<std::size_t>> commits_;  ///< operations of each
  Store store_{std::make_unique<WatchedQueue>(disk_), clock_,
               [this](const Store::CommitStats& commit) {
                 auto view = commits_.Lock();
                 view->push_back(commit.operations);
               }};
};

TEST_F(StoreTest, WhatComesWhileACommitRunsSharesTheNextOne) {
  std::vector<Status> done;
  Change([](Disk& disk) { disk.open = false; });
  Enqueue("first", done);
  context_.poll();
  for (int i = 0; i < 200; ++i) {
    Enqueue(std::to_string(i), done);
  }
  context_.poll();
  EXPECT_TRUE(done.empty()) << "nothing is answered before its commit";
  Change([](Disk& disk) { disk.open = true; });
  Run();
  ASSERT_EQ(done.size(), 201U);
  for (const Status& status : done) {
    EXPECT_TRUE(status.ok());
  }
  auto view = disk_.Lock();
  EXPECT_LE(view->commits, 3);
  auto observed = commits_.Lock();
  EXPECT_EQ(std::accumulate(observed->begin(), observed->end(), std::size_t{0}), 201U);
}

TEST_F(StoreTest, ALookWaitsForNoCommitAndSeesNothingThatIsNotDurable) {
  std::vector<Status> done;
  Change([](Disk& disk) { disk.open = false; });
  Enqueue("first", done);
  context_.poll();
  WaitForCommit();
  Enqueue("second", done);
  std::int64_t jobs = -1;
  boost::asio::co_spawn(context_, Count(jobs), boost::asio::detached);
  context_.poll();
  Change([](Disk& disk) { disk.one = true; });
  while (jobs < 0) {
    context_.restart();
    context_.run_one();
  }
  EXPECT_EQ(jobs, 1) << "the second is on its way only";
  EXPECT_LE(done.size(), 1U);
  Change([](Disk& disk) { disk.open = true; });
  Run();
  EXPECT_EQ(done.size(), 2U);
  EXPECT_EQ(CountJobs(), 2);
}

TEST_F(StoreTest, WhatALookChangesIsUndone) {
  Status looked;
  boost::asio::co_spawn(
      context_,
      [&]() -> boost::asio::awaitable<void> {
        const NewJob job = SampleJob("a", domain::JobKind::kConvert);
        const Result<JobId> id =
            co_await store_.Look([&](Queue& queue) { return queue.Enqueue(job, 1); });
        looked = id.status();
      },
      boost::asio::detached);
  Run();
  EXPECT_TRUE(looked.ok());
  EXPECT_EQ(CountJobs(), 0);
  EXPECT_TRUE(store_.health().ok());
}

TEST_F(StoreTest, AnOperationThatFailsLeavesNothingAndDisturbsNobody) {
  std::vector<Status> done;
  Enqueue("a", done);
  Enqueue("a", done);
  Enqueue("b", done);
  Run();
  ASSERT_EQ(done.size(), 3U);
  EXPECT_TRUE(done[0].ok());
  EXPECT_FALSE(done[1].ok());
  EXPECT_TRUE(done[2].ok());
  EXPECT_EQ(CountJobs(), 2);
}

TEST_F(StoreTest, WhatAnOperationChangedBeforeItFailedIsUndoneAndOthersStay) {
  std::vector<Status> done;
  const auto fail = [&]() -> boost::asio::awaitable<void> {
    const NewJob job = SampleJob("failing", domain::JobKind::kConvert);
    done.push_back(co_await store_.Run([&](Queue& queue) -> Status {
      TYLLM_TRY(queue.Enqueue(job, 1).status());
      return Aborted("after a change");
    }));
  };
  Change([](Disk& disk) { disk.open = false; });
  Enqueue("first", done);
  context_.poll();
  WaitForCommit();
  Enqueue("before", done);
  boost::asio::co_spawn(context_, fail, boost::asio::detached);
  Enqueue("after", done);
  context_.poll();
  Change([](Disk& disk) { disk.open = true; });
  Run();
  ASSERT_EQ(done.size(), 4U);
  EXPECT_EQ(std::ranges::count_if(done, &Status::ok), 3);
  EXPECT_EQ(CountJobs(), 3);
  done.clear();
  Enqueue("failing", done);
  Run();
  EXPECT_TRUE(done.at(0).ok()) << "its request is not known";
}

TEST_F(StoreTest, AFailedCommitIsAnsweredAsThatToAllAndShownUntilAWriteWorks) {
  std::vector<Status> done;
  Change([](Disk& disk) { disk.commits_fail = true; });
  Enqueue("a", done);
  Enqueue("b", done);
  Run();
  ASSERT_EQ(done.size(), 2U);
  EXPECT_EQ(done[0].code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(done[1].code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(store_.health().code(), StatusCode::kResourceExhausted);
  Change([](Disk& disk) { disk.commits_fail = false; });
  Enqueue("a", done);
  Run();
  EXPECT_TRUE(done[2].ok());
  EXPECT_TRUE(store_.health().ok());
  EXPECT_EQ(CountJobs(), 1);
}

TEST_F(StoreTest, StoppingFinishesWhatCameAndRefusesWhatComes) {
  std::vector<Status> done;
  Enqueue("a", done);
  context_.poll();
  store_.Stop();
  Enqueue("b", done);
  Run();
  ASSERT_EQ(done.size(), 2U);
  const bool first_is_late = !done[0].ok();
  EXPECT_TRUE(done[first_is_late ? 1 : 0].ok());
  EXPECT_EQ(done[first_is_late ? 0 : 1].code(), StatusCode::kUnavailable);
  store_.Stop();
}

}  // namespace
}  // namespace tyllm::server::store
