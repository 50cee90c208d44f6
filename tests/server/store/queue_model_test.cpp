// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <random>

#include "server/store/database_check.h"
#include "server/store/sqlite_queue.h"
#include "tests/server/store/fault_vfs.h"
#include "tests/server/store/memory_queue.h"
#include "tests/server/store/queue_dump.h"
#include "tests/server/store/random_operation.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::server::store {
namespace {

/// Stands for a seed that nobody has tried.
constexpr std::uint64_t kFreshSeed = 0;

struct Course {
  std::uint64_t seed;
  Variety variety;
};

class QueueModel : public ::testing::TestWithParam<Course> {
 protected:
  void Open() {
    auto opened = OpenSqliteQueue(
        {.file = folder_ / "queue.db", .toolchain_version = "1.0", .vfs = vfs_.name()});
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    real_ = *std::move(opened);
  }

  // One operation on both: both do it, or both refuse for the same reason and change nothing.
  void Step(const Operation& operation) {
    for (Queue* queue : {real_.get(), static_cast<Queue*>(&model_)}) {
      ASSERT_TRUE(queue->SetMark().ok());
    }
    const Status really = operation.run(*real_);
    const Status expected = operation.run(model_);
    ASSERT_EQ(really.code(), expected.code()) << operation.name << ": " << really.ToString();
    for (Queue* queue : {real_.get(), static_cast<Queue*>(&model_)}) {
      ASSERT_TRUE((really.ok() ? queue->KeepMark() : queue->RevertToMark()).ok());
    }
  }

  /// Of the file, which is closed.
  void Check() { EXPECT_EQ(*CheckDatabase(folder_ / "queue.db"), std::vector<std::string>()); }

  testing::TemporaryDirectory folder_;
  FaultVfs vfs_;
  std::unique_ptr<Queue> real_;
  MemoryQueue model_{"1.0"};
};

TEST_P(QueueModel, RandomOperationsCommitsAndCrashesAgreeWithTheNaiveQueue) {
  const std::uint64_t given = GetParam().seed;
  const std::uint64_t seed = given == kFreshSeed ? std::random_device()() : given;
  SCOPED_TRACE("seed " + std::to_string(seed));
  RandomOperations operations(seed, GetParam().variety);
  std::mt19937_64 random(seed + 1);
  Open();
  std::int64_t now = 1000;
  for (int batch = 0; batch < 60; ++batch) {
    ASSERT_TRUE(real_->Begin().ok());
    ASSERT_TRUE(model_.Begin().ok());
    for (int i = 0; i < 12; ++i) {
      now += 10;
      ASSERT_NO_FATAL_FAILURE(Step(operations.Next(model_, now)));
    }
    ASSERT_EQ(Dump(*real_, now), Dump(model_, now)) << "batch " << batch;
    ASSERT_TRUE(*real_->KeysAreTrue()) << "batch " << batch;
    const std::uint64_t fate = random() % 8;
    if (fate == 0) {
      // Killed in the middle of the transaction, with what the disk had not yet.
      model_.Rollback();
      vfs_.FailAfter(0, FaultVfs::Fault::kCrash);
      real_.reset();
      vfs_.LoseUnsynced();
      vfs_.Heal();
      Check();
      ASSERT_NO_FATAL_FAILURE(Open());
      ASSERT_TRUE(*real_->KeysAreTrue());
    } else if (fate == 1) {
      model_.Rollback();
      real_->Rollback();
      ASSERT_TRUE(*real_->KeysAreTrue()) << "batch " << batch;
    } else {
      ASSERT_TRUE(real_->Commit().ok());
      ASSERT_TRUE(model_.Commit().ok());
      ASSERT_EQ(real_->TakeEnded(), model_.TakeEnded());
      ASSERT_EQ(real_->TakeEnded(), std::vector<EndedJob>());
    }
  }
  real_.reset();
  Check();
}

INSTANTIATE_TEST_SUITE_P(
    Seeds, QueueModel,
    ::testing::Values(Course{kFreshSeed, Variety::kWide}, Course{1, Variety::kWide},
                      Course{2, Variety::kWide}, Course{3, Variety::kWide},
                      Course{kFreshSeed, Variety::kCrowded}, Course{1, Variety::kCrowded},
                      Course{2, Variety::kCrowded}, Course{3, Variety::kCrowded}),
    [](const auto& parameter) {
      const bool crowded = parameter.param.variety == Variety::kCrowded;
      return (crowded ? "Crowded" : "Wide") + std::to_string(parameter.param.seed);
    });

}  // namespace
}  // namespace tyllm::server::store
