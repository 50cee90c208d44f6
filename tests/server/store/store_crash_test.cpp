// SPDX-License-Identifier: Apache-2.0
// The machine stops at any change of the files while several clients use the store: what one of
// them was answered or shown is there afterwards.
#include <gtest/gtest.h>

#include <algorithm>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include "server/store/sqlite_queue.h"
#include "server/store/store.h"
#include "tests/server/store/fault_vfs.h"
#include "tests/server/store/samples.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::server::store {
namespace {

constexpr int kClients = 4;
constexpr int kJobsOfEach = 5;

/// What clients were told.
struct Told {
  std::vector<std::string> made;  ///< requests that were answered
  std::int64_t shown = 0;         ///< the most jobs that a look saw
};

Result<std::unique_ptr<Queue>> Open(const Path& file, const std::string& vfs) {
  return OpenSqliteQueue({.file = file, .toolchain_version = "1.0", .vfs = vfs});
}

boost::asio::awaitable<void> Client(Store& store, std::string name, Told& told) {
  for (int i = 0; i < kJobsOfEach; ++i) {
    const std::string request = name + std::to_string(i);
    const NewJob job = SampleJob(request, domain::JobKind::kConvert);
    const Result<JobId> id =
        co_await store.Run([&](Queue& queue) { return queue.Enqueue(job, 1); });
    if (id.ok()) {
      told.made.push_back(request);
    }
    const auto counts = co_await store.Look([](Queue& queue) { return queue.CountJobs(); });
    if (counts.ok()) {
      told.shown = std::max(told.shown, counts->at(domain::JobState::kQueued));
    }
  }
}

Told RunClients(const Path& file, const std::string& vfs) {
  Told told;
  auto queue = Open(file, vfs);
  if (!queue.ok()) {
    return told;
  }
  boost::asio::io_context context{1};
  Store store(*std::move(queue), SystemClock());
  for (int i = 0; i < kClients; ++i) {
    boost::asio::co_spawn(context, Client(store, std::to_string(i) + "-", told),
                          boost::asio::detached);
  }
  context.run();
  return told;
}

void ExpectThere(Queue& queue, const Told& told) {
  ASSERT_TRUE(queue.Begin().ok());
  for (const std::string& request : told.made) {
    const auto found = queue.FindRequest(request);
    ASSERT_TRUE(found.ok()) << found.status().ToString();
    EXPECT_TRUE(found->has_value()) << request << " was answered and is lost";
  }
  const auto counts = queue.CountJobs();
  ASSERT_TRUE(counts.ok()) << counts.status().ToString();
  EXPECT_GE(counts->at(domain::JobState::kQueued), told.shown) << "a look saw what is lost";
  queue.Rollback();
}

class StoreCrash : public ::testing::TestWithParam<FaultVfs::Leaves> {};

TEST_P(StoreCrash, AtAnyChangeWhatWasToldIsThere) {
  constexpr int kMost = 2000;
  int at = 0;
  for (; at < kMost && !HasFailure(); ++at) {
    SCOPED_TRACE("crash at change " + std::to_string(at));
    const testing::TemporaryDirectory folder;
    FaultVfs vfs;
    vfs.FailAfter(at, FaultVfs::Fault::kCrash);
    const Told told = RunClients(folder / "q.db", vfs.name());
    if (!vfs.failed()) {
      EXPECT_EQ(told.made.size(), static_cast<std::size_t>(kClients) * kJobsOfEach);
      break;
    }
    vfs.LoseUnsynced(GetParam(), static_cast<std::uint64_t>(at));
    vfs.Heal();
    auto queue = Open(folder / "q.db", vfs.name());
    ASSERT_TRUE(queue.ok()) << queue.status().ToString();
    ExpectThere(**queue, told);
  }
  EXPECT_GT(at, 20);
  EXPECT_LT(at, kMost);
}

INSTANTIATE_TEST_SUITE_P(Leaving, StoreCrash,
                         ::testing::Values(FaultVfs::Leaves::kNothing, FaultVfs::Leaves::kSome),
                         [](const auto& leaves) {
                           return leaves.param == FaultVfs::Leaves::kNothing
                                      ? std::string("nothing")
                                      : std::string("some");
                         });

TEST(StoreSync, OneThatFailsStopsTheStoreAndARestartGoesOn) {
  const testing::TemporaryDirectory folder;
  FaultVfs vfs;
  auto queue = Open(folder / "q.db", vfs.name());
  ASSERT_TRUE(queue.ok());
  {
    boost::asio::io_context context{1};
    Store store(*std::move(queue), SystemClock());
    Told told;
    boost::asio::co_spawn(context, Client(store, "healthy", told), boost::asio::detached);
    context.run();
    EXPECT_EQ(told.made.size(), static_cast<std::size_t>(kJobsOfEach));
    vfs.FailSyncAfter(0, FaultVfs::Fault::kOnce);
    Told later;
    boost::asio::co_spawn(context, Client(store, "failing", later), boost::asio::detached);
    context.restart();
    context.run();
    EXPECT_TRUE(later.made.empty());
    EXPECT_EQ(later.shown, 0) << "looks fail, too";
    EXPECT_EQ(store.health().code(), StatusCode::kUnavailable);
    EXPECT_NE(store.health().message().find("restart the server"), std::string::npos);
  }
  auto again = Open(folder / "q.db", vfs.name());
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  ExpectThere(**again, {.made = {"healthy0", "healthy4"}, .shown = kJobsOfEach});
}

}  // namespace
}  // namespace tyllm::server::store
