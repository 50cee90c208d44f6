// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <tuple>

#include "server/store/database.h"
#include "server/store/sqlite_queue.h"
#include "tests/server/store/fault_vfs.h"
#include "tests/server/store/memory_queue.h"
#include "tests/server/store/queue_dump.h"
#include "tests/server/store/random_operation.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::server::store {
namespace {

constexpr int kOperations = 30;

/// What a run on a failing disk left behind.
struct Outcome {
  int acknowledged = 0;  ///< operations that are durable by what was answered
  int begun = 0;
};

/// Who makes commits durable.
enum class Syncs : std::uint8_t {
  kCommit,      ///< each itself
  kAfterEach,   ///< another
  kAfterThird,  ///< another, and two more commits are made before
};

/// The k-th operation, the same in every run.
class Script {
 public:
  Script() {
    MemoryQueue model("1.0");
    RandomOperations random(7);
    states_.push_back(Dump(model, kNow));
    for (int i = 0; i < kOperations; ++i) {
      EXPECT_TRUE(model.Begin().ok());
      Operation operation = random.Next(model, 1000 + i);
      if (operation.run(model).ok()) {
        EXPECT_TRUE(model.Commit().ok());
        states_.push_back(Dump(model, kNow));
        operations_.push_back(std::move(operation));
      } else {
        model.Rollback();
      }
    }
  }

  const std::vector<Operation>& operations() const { return operations_; }

  /// The queue after the first `count` operations.
  const std::string& State(int count) const { return states_[static_cast<std::size_t>(count)]; }

  static constexpr std::int64_t kNow = 100'000;

 private:
  std::vector<Operation> operations_;
  std::vector<std::string> states_;
};

Result<std::unique_ptr<Queue>> Open(const Path& file, const std::string& vfs) {
  return OpenSqliteQueue({.file = file, .toolchain_version = "1.0", .vfs = vfs});
}

Outcome RunOn(const Path& file, const FaultVfs& vfs, const Script& script, Syncs syncs) {
  Outcome outcome;
  auto queue = Open(file, vfs.name());
  if (!queue.ok()) {
    return outcome;
  }
  std::unique_ptr<LogSync> log;
  if (syncs != Syncs::kCommit) {
    auto opened = (*queue)->OpenLogSync();
    if (!opened.ok()) {
      return outcome;
    }
    log = *std::move(opened);
  }
  const int all = static_cast<int>(script.operations().size());
  for (const Operation& operation : script.operations()) {
    ++outcome.begun;
    if (!(*queue)->Begin().ok() || !operation.run(**queue).ok() || !(*queue)->Commit().ok()) {
      (*queue)->Rollback();
      return outcome;
    }
    if (syncs == Syncs::kAfterThird && outcome.begun % 3 != 0 && outcome.begun != all) {
      continue;
    }
    if (log && !log->Sync().ok()) {
      return outcome;
    }
    outcome.acknowledged = outcome.begun;
  }
  return outcome;
}

void ExpectIntact(const Path& file, const std::string& vfs) {
  static constexpr Sql kCheck{"PRAGMA integrity_check"};
  auto database = Database::Open(file.string(), vfs);
  ASSERT_TRUE(database.ok()) << database.status().ToString();
  auto rows = (*database)->Query(kCheck);
  ASSERT_TRUE(rows.ok() && *rows->Next());
  EXPECT_EQ(rows->Text(0), "ok");
}

// What was acknowledged is there; of what was begun after it, the first so many, each wholly.
void ExpectKept(const Path& file, FaultVfs& vfs, const Script& script, const Outcome& outcome) {
  ExpectIntact(file, vfs.name());
  auto queue = Open(file, vfs.name());
  ASSERT_TRUE(queue.ok()) << queue.status().ToString();
  ASSERT_TRUE((*queue)->Begin().ok());
  const std::string found = Dump(**queue, Script::kNow);
  int there = outcome.acknowledged;
  while (there < outcome.begun && found != script.State(there)) {
    ++there;
  }
  EXPECT_EQ(found, script.State(there)) << "acknowledged: " << outcome.acknowledged;
  EXPECT_TRUE((*queue)->Commit().ok());
}

// Every write and sync, or, of what differs little from another fault, every third.
int StepOf(FaultVfs::Fault fault) {
  return fault == FaultVfs::Fault::kOnce || fault == FaultVfs::Fault::kShort ? 3 : 1;
}

class QueueFault : public ::testing::TestWithParam<std::tuple<FaultVfs::Fault, Syncs>> {};

TEST_P(QueueFault, AtEveryWriteNothingAcknowledgedIsLostAndNothingIsHalfDone) {
  const auto [fault, syncs] = GetParam();
  const Script script;
  int writes = 0;
  {
    const testing::TemporaryDirectory folder;
    FaultVfs vfs;
    ASSERT_EQ(RunOn(folder / "q.db", vfs, script, syncs).acknowledged,
              static_cast<int>(script.operations().size()));
    writes = vfs.changes();
  }
  ASSERT_GT(writes, 50);
  for (int k = 0; k < writes; k += StepOf(fault)) {
    SCOPED_TRACE("fault at write " + std::to_string(k));
    const testing::TemporaryDirectory folder;
    FaultVfs vfs;
    vfs.FailAfter(k, fault);
    const Outcome outcome = RunOn(folder / "q.db", vfs, script, syncs);
    ASSERT_TRUE(vfs.failed() || fault == FaultVfs::Fault::kOnce);
    if (fault == FaultVfs::Fault::kCrash) {
      vfs.LoseUnsynced(k % 2 == 0 ? FaultVfs::Leaves::kNothing : FaultVfs::Leaves::kSome,
                       static_cast<std::uint64_t>(k));
    }
    vfs.Heal();
    ASSERT_NO_FATAL_FAILURE(ExpectKept(folder / "q.db", vfs, script, outcome));
  }
}

std::string NameOf(FaultVfs::Fault fault) {
  switch (fault) {
    case FaultVfs::Fault::kFull:
      return "full";
    case FaultVfs::Fault::kError:
      return "error";
    case FaultVfs::Fault::kOnce:
      return "one_error";
    case FaultVfs::Fault::kShort:
      return "short_write";
    case FaultVfs::Fault::kCrash:
      break;
  }
  return "crash";
}

std::string NameOf(Syncs syncs) {
  switch (syncs) {
    case Syncs::kCommit:
      return "commits_sync";
    case Syncs::kAfterEach:
      return "synced_after_each";
    case Syncs::kAfterThird:
      break;
  }
  return "synced_after_every_third";
}

INSTANTIATE_TEST_SUITE_P(
    Faults, QueueFault,
    ::testing::Combine(::testing::Values(FaultVfs::Fault::kFull, FaultVfs::Fault::kError,
                                         FaultVfs::Fault::kOnce, FaultVfs::Fault::kShort,
                                         FaultVfs::Fault::kCrash),
                       ::testing::Values(Syncs::kCommit, Syncs::kAfterEach, Syncs::kAfterThird)),
    [](const auto& parameter) {
      return NameOf(std::get<0>(parameter.param)) + "_" + NameOf(std::get<1>(parameter.param));
    });

TEST(QueueStorage, AFullDiskIsSaidAndPassesAnErrorStays) {
  const testing::TemporaryDirectory folder;
  FaultVfs vfs;
  const Script script;
  auto queue = Open(folder / "q.db", vfs.name());
  std::int64_t now = 0;  // the same row twice is no write
  const auto attempt = [&] {
    TYLLM_TRY((*queue)->Begin());
    Status status = (*queue)->Probe(++now);
    if (status.ok()) {
      status = (*queue)->Commit().status();
    }
    if (!status.ok()) {
      (*queue)->Rollback();
    }
    return status;
  };
  vfs.FailAfter(0, FaultVfs::Fault::kFull);
  const Status full = attempt();
  EXPECT_EQ(full.code(), StatusCode::kResourceExhausted);
  EXPECT_NE(full.message().find("free some space"), std::string::npos);
  EXPECT_TRUE((*queue)->broken().ok());
  vfs.Heal();
  EXPECT_TRUE(attempt().ok());
  vfs.FailAfter(0, FaultVfs::Fault::kError);
  EXPECT_EQ(attempt().code(), StatusCode::kUnavailable);
  vfs.Heal();
  EXPECT_EQ(attempt().code(), StatusCode::kUnavailable);
  EXPECT_EQ((*queue)->broken().code(), StatusCode::kUnavailable);
}

}  // namespace
}  // namespace tyllm::server::store
