// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <chrono>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include "common/base/guarded.h"
#include "server/store/sqlite_queue.h"
#include "server/store/store.h"
#include "tests/server/store/samples.h"
#include "tests/support/temporary_directory.h"

// Who only looks sees what was committed, and waits for nobody who writes.
namespace tyllm::server::store {
namespace {

class ReaderTest : public ::testing::Test {
 protected:
  std::unique_ptr<Queue> Open() {
    auto queue =
        OpenSqliteQueue({.file = folder_ / "queue.db", .toolchain_version = "1.0", .vfs = {}});
    EXPECT_TRUE(queue.ok()) << queue.status().ToString();
    return *std::move(queue);
  }

  static std::int64_t Queued(Queue& reader) {
    EXPECT_TRUE(reader.Begin().ok());
    const auto counts = reader.CountJobs();
    reader.Rollback();
    EXPECT_TRUE(counts.ok()) << counts.status().ToString();
    return counts.ok() ? counts->at(domain::JobState::kQueued) : -1;
  }

  testing::TemporaryDirectory folder_;
};

TEST_F(ReaderTest, SeesWhatWasCommittedAndNothingElse) {
  const std::unique_ptr<Queue> queue = Open();
  const std::unique_ptr<Queue> reader = *queue->OpenReader();
  ASSERT_NE(reader, nullptr);
  ASSERT_TRUE(queue->Begin().ok());
  ASSERT_TRUE(queue->Enqueue(SampleJob("a", domain::JobKind::kConvert), 1).ok());
  EXPECT_EQ(Queued(*reader), 0);
  ASSERT_TRUE(queue->Commit().ok());
  EXPECT_EQ(Queued(*reader), 1);
}

TEST_F(ReaderTest, ALookKeepsToTheStateInWhichItBegan) {
  const std::unique_ptr<Queue> queue = Open();
  const std::unique_ptr<Queue> reader = *queue->OpenReader();
  ASSERT_TRUE(reader->Begin().ok());
  EXPECT_EQ(reader->CountJobs()->at(domain::JobState::kQueued), 0);
  ASSERT_TRUE(queue->Begin().ok());
  ASSERT_TRUE(queue->Enqueue(SampleJob("a", domain::JobKind::kConvert), 1).ok());
  ASSERT_TRUE(queue->Commit().ok());
  EXPECT_EQ(reader->CountJobs()->at(domain::JobState::kQueued), 0);
  reader->Rollback();
  EXPECT_EQ(Queued(*reader), 1);
}

TEST_F(ReaderTest, ChangesNothingAndIsNotSpoiledByTrying) {
  const std::unique_ptr<Queue> queue = Open();
  const std::unique_ptr<Queue> reader = *queue->OpenReader();
  ASSERT_TRUE(reader->Begin().ok());
  EXPECT_FALSE(reader->Enqueue(SampleJob("a", domain::JobKind::kConvert), 1).ok());
  reader->Rollback();
  EXPECT_TRUE(reader->broken().ok()) << reader->broken().ToString();
  EXPECT_EQ(Queued(*reader), 0);
}

/// Opened by the test while an operation waits for it.
struct Gate {
  bool reached = false;
  bool open = false;
};

TEST_F(ReaderTest, ALookIsAnsweredWhileATransactionIsUnderWay) {
  boost::asio::io_context context{1};
  Guarded<Gate> gate;
  Store store(Open(), SystemClock());
  Status queued = Unavailable("not yet");
  bool in_time = false;
  boost::asio::co_spawn(
      context,
      [&]() -> boost::asio::awaitable<void> {
        const Result<JobId> id = co_await store.Run([&](Queue& queue) -> Result<JobId> {
          Result<JobId> made = queue.Enqueue(SampleJob("a", domain::JobKind::kConvert), 1);
          auto view = gate.Lock();
          view->reached = true;
          gate.Notify();
          // Far longer than a look takes: ends a test that would hang.
          in_time = view.WaitUntil(std::chrono::steady_clock::now() + std::chrono::seconds(20),
                                   [](const Gate& it) { return it.open; });
          return made;
        });
        queued = id.status();
      },
      boost::asio::detached);
  context.poll();
  {
    auto view = gate.Lock();
    view.Wait([](const Gate& it) { return it.reached; });
  }
  std::vector<std::int64_t> seen;
  const auto count = [&]() -> boost::asio::awaitable<void> {
    const auto counts = co_await store.Look([](Queue& queue) { return queue.CountJobs(); });
    seen.push_back(counts.ok() ? counts->at(domain::JobState::kQueued) : -1);
    auto view = gate.Lock();
    view->open = true;
    gate.Notify();
  };
  boost::asio::co_spawn(context, count, boost::asio::detached);
  context.restart();
  context.run();
  EXPECT_TRUE(in_time) << "the look waited for the transaction";
  EXPECT_TRUE(queued.ok()) << queued.ToString();
  boost::asio::co_spawn(context, count, boost::asio::detached);
  context.restart();
  context.run();
  EXPECT_EQ(seen, (std::vector<std::int64_t>{0, 1}));
}

}  // namespace
}  // namespace tyllm::server::store
