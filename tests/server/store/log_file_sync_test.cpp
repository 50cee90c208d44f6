// SPDX-License-Identifier: Apache-2.0
// A log that was made longer says what it said before.
#include "server/store/log_file_sync.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "server/store/database.h"
#include "tests/server/store/fault_vfs.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::server::store {
namespace {

constexpr Sql kInsert{"INSERT INTO rows DEFAULT VALUES"};
constexpr Sql kCount{"SELECT count(*) FROM rows"};
constexpr std::int64_t kLonger = 1 << 20;

class LogFileSyncTest : public ::testing::Test {
 protected:
  std::filesystem::path File(const char* name) const { return folder_ / name; }

  static std::unique_ptr<Database> Open(const std::filesystem::path& file) {
    auto database = Database::Open(file.string(), "");
    EXPECT_TRUE(database.ok()) << database.status().ToString();
    return *std::move(database);
  }

  static void Add(Database& database, int rows) {
    ASSERT_TRUE(database.Begin().ok());
    for (int i = 0; i < rows; ++i) {
      ASSERT_TRUE(database.Change(kInsert).ok());
    }
    ASSERT_TRUE(database.Commit().ok());
  }

  static std::int64_t Count(Database& database) {
    auto rows = database.Query(kCount);
    EXPECT_TRUE(rows.ok() && rows->Next().ok());
    return rows->Integer(0);
  }

  static std::string LogOf(const std::filesystem::path& file) { return file.string() + "-wal"; }

  /// As a killed process leaves it.
  static void Copy(const std::filesystem::path& from, const std::filesystem::path& to) {
    std::filesystem::copy_file(from, to);
    std::filesystem::copy_file(LogOf(from), LogOf(to));
  }

  const testing::TemporaryDirectory folder_;
};

TEST_F(LogFileSyncTest, ZerosBehindALogAreItsEnd) {
  const auto database = Open(File("a.db"));
  ASSERT_TRUE(database->Execute("CREATE TABLE rows(id INTEGER PRIMARY KEY)").ok());
  Add(*database, 3);
  Copy(File("a.db"), File("b.db"));
  LengthenLog(LogOf(File("b.db")), kLonger);
  EXPECT_EQ(std::filesystem::file_size(LogOf(File("b.db"))), kLonger);
  const auto killed = Open(File("b.db"));
  EXPECT_EQ(Count(*killed), 3);
  Add(*killed, 4);
  EXPECT_EQ(Count(*killed), 7);
}

TEST_F(LogFileSyncTest, TransactionsGoIntoTheZeros) {
  const auto database = Open(File("a.db"));
  ASSERT_TRUE(database->Execute("CREATE TABLE rows(id INTEGER PRIMARY KEY)").ok());
  const auto sync = database->OpenLogSync();
  ASSERT_TRUE(sync.ok()) << sync.status().ToString();
  const auto size = std::filesystem::file_size(LogOf(File("a.db")));
  EXPECT_GE(size, 16U << 20);
  for (int i = 0; i < 20; ++i) {
    Add(*database, 10);
    ASSERT_TRUE((*sync)->Sync().ok());
  }
  EXPECT_EQ(std::filesystem::file_size(LogOf(File("a.db"))), size);
  Copy(File("a.db"), File("b.db"));
  EXPECT_EQ(Count(*Open(File("b.db"))), 200);
}

// What it had committed and not synced only the machine's memory may have.
TEST_F(LogFileSyncTest, WhatAKilledProcessLeftIsOnTheDiskBeforeItIsShown) {
  FaultVfs disk;
  const auto open = [&] {
    auto database = Database::Open(File("a.db").string(), disk.name());
    EXPECT_TRUE(database.ok()) << database.status().ToString();
    return *std::move(database);
  };
  const auto kill = [&](std::unique_ptr<Database> database) {
    disk.FailAfter(0, FaultVfs::Fault::kCrash);
    database.reset();
    disk.Heal();
  };
  auto database = open();
  ASSERT_TRUE(database->Execute("CREATE TABLE rows(id INTEGER PRIMARY KEY)").ok());
  ASSERT_TRUE(database->OpenLogSync().ok());
  Add(*database, 3);
  kill(std::move(database));
  database = open();
  EXPECT_EQ(Count(*database), 3);
  kill(std::move(database));
  disk.LoseUnsynced();
  EXPECT_EQ(Count(*open()), 3);
}

TEST_F(LogFileSyncTest, WhatCannotBeMadeLongerStays) {
  LengthenLog(LogOf(File("none.db")), kLonger);
  EXPECT_FALSE(std::filesystem::exists(LogOf(File("none.db"))));
  const auto database = Open(File("a.db"));
  ASSERT_TRUE(database->Execute("CREATE TABLE rows(id INTEGER PRIMARY KEY)").ok());
  const auto size = std::filesystem::file_size(LogOf(File("a.db")));
  LengthenLog(LogOf(File("a.db")), 1);
  EXPECT_EQ(std::filesystem::file_size(LogOf(File("a.db"))), size);
}

}  // namespace
}  // namespace tyllm::server::store
