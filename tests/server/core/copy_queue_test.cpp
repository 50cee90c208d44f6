// SPDX-License-Identifier: Apache-2.0
#include "server/core/copy_queue.h"

#include <fcntl.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "common/base/handle.h"
#include "server/store/database_check.h"
#include "tests/server/core/await.h"

namespace tyllm::server::core {
namespace {

/// So that a small queue is synced many times on its way.
constexpr CopyPace kStepByStep{.pages = 1, .steps = 1};

class CopyQueueTest : public FarmFixture {
 protected:
  CopyQueueTest() {
    copies_ = folder_ / "copies";
    Restart();
  }

  std::vector<Path> Copies() const {
    std::vector<Path> found;
    for (const auto& entry : std::filesystem::directory_iterator(folder_ / "copies")) {
      if (entry.path().extension() == ".db") {
        found.push_back(entry.path());
      }
    }
    return found;
  }

  /// Whether somebody has a lock on the file that SQLite takes when it writes; this process counts.
  static bool IsLocked(int file) {
    struct flock lock{};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = 0x40000000;  // SQLite's lock bytes
    lock.l_len = 512;
    EXPECT_EQ(::fcntl(file, F_OFD_GETLK, &lock), 0);
    return lock.l_type != F_UNLCK;
  }
};

TEST_F(CopyQueueTest, ACopyThatIsSyncedPieceByPieceIsWholeAndKeepsItsLocks) {
  ASSERT_TRUE(Submit("r", Spec(JobKind::kPipeline, 3)).ok());
  std::optional<Result<QueueCopy>> copied;
  boost::asio::co_spawn(*control_, Keep(CopyQueue(*farm_, kStepByStep), copied),
                        boost::asio::detached);
  control_->restart();
  Fd file;
  int locked = 0;
  while (!copied) {
    ASSERT_GT(control_->run_one(), 0U);
    if (!file && std::filesystem::exists(copies_) && !Copies().empty()) {
      file = Fd(::open(Copies()[0].c_str(), O_RDWR | O_CLOEXEC));
    }
    locked += file && IsLocked(file.get()) ? 1 : 0;
  }
  EXPECT_GT(locked, 10) << "closing a file of it gave up the lock";
  ASSERT_TRUE(copied->ok()) << copied->status().ToString();
  const auto problems = store::CheckDatabase((*copied)->path);
  ASSERT_TRUE(problems.ok()) << problems.status().ToString();
  EXPECT_TRUE(problems->empty());
}

TEST_F(CopyQueueTest, ACopyIsThereUntilWhoAskedForItHasHadTimeToTakeIt) {
  const auto first = Await(CopyQueue(*farm_));
  ASSERT_TRUE(first.ok()) << first.status().ToString();
  Advance(Milliseconds(1));
  const auto second = Await(CopyQueue(*farm_));
  ASSERT_TRUE(second.ok()) << second.status().ToString();
  EXPECT_TRUE(std::filesystem::exists(first->path));
  std::filesystem::last_write_time(
      first->path, std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
  Advance(Milliseconds(1));
  const auto third = Await(CopyQueue(*farm_));
  ASSERT_TRUE(third.ok()) << third.status().ToString();
  EXPECT_FALSE(std::filesystem::exists(first->path));
  EXPECT_TRUE(std::filesystem::exists(second->path));
}

TEST_F(CopyQueueTest, AServerThatStopsDoesNotFinishACopy) {
  farm_->Stop();
  EXPECT_EQ(Await(CopyQueue(*farm_)).status().code(), StatusCode::kUnavailable);
}

}  // namespace
}  // namespace tyllm::server::core
