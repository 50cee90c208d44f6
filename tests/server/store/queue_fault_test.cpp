// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

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
  bool opened = false;
  int acknowledged = 0;        ///< operations whose commit was answered with OK
  bool one_in_flight = false;  ///< one more was begun
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

Outcome RunOn(const Path& file, const FaultVfs& vfs, const Script& script) {
  Outcome outcome;
  auto queue = Open(file, vfs.name());
  outcome.opened = queue.ok();
  if (!queue.ok()) {
    return outcome;
  }
  for (const Operation& operation : script.operations()) {
    outcome.one_in_flight = true;
    if (!(*queue)->Begin().ok() || !operation.run(**queue).ok() || !(*queue)->Commit().ok()) {
      (*queue)->Rollback();
      return outcome;
    }
    outcome.one_in_flight = false;
    ++outcome.acknowledged;
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

// What was acknowledged is there; an operation in flight is there wholly or not at all.
void ExpectKept(const Path& file, FaultVfs& vfs, const Script& script, const Outcome& outcome) {
  ExpectIntact(file, vfs.name());
  auto queue = Open(file, vfs.name());
  ASSERT_TRUE(queue.ok()) << queue.status().ToString();
  ASSERT_TRUE((*queue)->Begin().ok());
  const std::string found = Dump(**queue, Script::kNow);
  if (!outcome.one_in_flight || found == script.State(outcome.acknowledged)) {
    EXPECT_EQ(found, script.State(outcome.acknowledged));
  } else {
    EXPECT_EQ(found, script.State(outcome.acknowledged + 1));
  }
  EXPECT_TRUE((*queue)->Commit().ok());
}

// Every write and sync, or, of what differs little from another fault, every third.
int StepOf(FaultVfs::Fault fault) {
  return fault == FaultVfs::Fault::kOnce || fault == FaultVfs::Fault::kShort ? 3 : 1;
}

class QueueFault : public ::testing::TestWithParam<FaultVfs::Fault> {};

TEST_P(QueueFault, AtEveryWriteNothingAcknowledgedIsLostAndNothingIsHalfDone) {
  const Script script;
  int writes = 0;
  {
    const testing::TemporaryDirectory folder;
    FaultVfs vfs;
    ASSERT_EQ(RunOn(folder / "q.db", vfs, script).acknowledged,
              static_cast<int>(script.operations().size()));
    writes = vfs.changes();
  }
  ASSERT_GT(writes, 50);
  for (int k = 0; k < writes; k += StepOf(GetParam())) {
    SCOPED_TRACE("fault at write " + std::to_string(k));
    const testing::TemporaryDirectory folder;
    FaultVfs vfs;
    vfs.FailAfter(k, GetParam());
    const Outcome outcome = RunOn(folder / "q.db", vfs, script);
    ASSERT_TRUE(vfs.failed() || GetParam() == FaultVfs::Fault::kOnce);
    if (GetParam() == FaultVfs::Fault::kCrash) {
      vfs.LoseUnsynced(k % 2 == 0 ? FaultVfs::Leaves::kNothing : FaultVfs::Leaves::kSome,
                       static_cast<std::uint64_t>(k));
    }
    vfs.Heal();
    ASSERT_NO_FATAL_FAILURE(ExpectKept(folder / "q.db", vfs, script, outcome));
  }
}

std::string NameOf(const ::testing::TestParamInfo<FaultVfs::Fault>& parameter) {
  switch (parameter.param) {
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

INSTANTIATE_TEST_SUITE_P(Faults, QueueFault,
                         ::testing::Values(FaultVfs::Fault::kFull, FaultVfs::Fault::kError,
                                           FaultVfs::Fault::kOnce, FaultVfs::Fault::kShort,
                                           FaultVfs::Fault::kCrash),
                         NameOf);

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
