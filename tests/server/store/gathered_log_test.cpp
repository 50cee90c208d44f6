// SPDX-License-Identifier: Apache-2.0
#include "server/store/gathered_log.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "server/store/database.h"
#include "tests/server/store/fault_vfs.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::server::store {
namespace {

constexpr Sql kFill{
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) "
    "INSERT INTO rows SELECT i, randomblob(3000) FROM n WHERE true ON CONFLICT(id) DO UPDATE SET "
    "bytes = excluded.bytes"};
constexpr Sql kCount{"SELECT count(*), sum(length(bytes)) FROM rows"};
constexpr Sql kCheck{"PRAGMA integrity_check"};

class GatheredLogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto database = Database::Open((folder_ / "q.db").string(), disk_.name());
    ASSERT_TRUE(database.ok()) << database.status().ToString();
    database_ = *std::move(database);
    ASSERT_TRUE(database_->Execute("CREATE TABLE rows(id INTEGER PRIMARY KEY, bytes BLOB)").ok());
  }

  void TearDown() override { database_.reset(); }

  Status Fill(std::int64_t rows) {
    TYLLM_TRY(database_->Begin());
    TYLLM_TRY(database_->Change(kFill, rows).status());
    return database_->Commit().status();
  }

  static std::int64_t CountIn(Database& database) {
    auto rows = database.Query(kCount);
    EXPECT_TRUE(rows.ok() && rows->Next().ok());
    EXPECT_EQ(rows->Integer(1), rows->Integer(0) * 3000);
    return rows->Integer(0);
  }

  static std::string Check(Database& database) {
    auto rows = database.Query(kCheck);
    EXPECT_TRUE(rows.ok() && rows->Next().ok());
    return rows->Text(0);
  }

  const testing::TemporaryDirectory folder_;
  FaultVfs disk_;
  std::unique_ptr<Database> database_;
};

TEST_F(GatheredLogTest, ATransactionOfManyPagesIsFewWritesAndOneSync) {
  ASSERT_TRUE(Fill(1).ok());
  const int before = disk_.changes();
  const Status filled = Fill(50);
  ASSERT_TRUE(filled.ok()) << filled.ToString();
  EXPECT_LE(disk_.changes() - before, 6) << "more than a hundred without it";
}

TEST_F(GatheredLogTest, AnotherConnectionReadsWhatWasCommittedWithoutASyncToo) {
  ASSERT_TRUE(database_->Execute("PRAGMA synchronous=OFF").ok());
  const auto reader = database_->OpenReader();
  ASSERT_TRUE(reader.ok()) << reader.status().ToString();
  for (std::int64_t rows = 10; rows < 100; rows += 10) {
    ASSERT_TRUE(Fill(rows).ok());
    EXPECT_EQ(CountIn(**reader), rows);
  }
  EXPECT_EQ(Check(**reader), "ok");
}

TEST_F(GatheredLogTest, ATransactionThatSpillsReadsWhatItWrote) {
  ASSERT_TRUE(database_->Execute("PRAGMA cache_size=10").ok());
  ASSERT_TRUE(database_->Begin().ok());
  for (const std::int64_t rows : {200, 100, 700}) {
    ASSERT_TRUE(database_->Change(kFill, rows).ok());
    EXPECT_EQ(CountIn(*database_), std::max<std::int64_t>(rows, 200));
  }
  ASSERT_TRUE(database_->Commit().ok());
  EXPECT_EQ(CountIn(*database_), 700);
  EXPECT_EQ(Check(*database_), "ok");
}

TEST_F(GatheredLogTest, PagesThatSpilledAndChangedAgainAreInTheFilesAtCommit) {
  ASSERT_TRUE(Fill(500).ok());
  ASSERT_TRUE(database_->Execute("PRAGMA synchronous=NORMAL; PRAGMA cache_size=20;").ok());
  ASSERT_TRUE(database_->Execute("PRAGMA wal_autocheckpoint=0").ok());
  ASSERT_TRUE(database_->Begin().ok());
  for (const std::int64_t rows : {700, 700, 10}) {
    ASSERT_TRUE(database_->Change(kFill, rows).ok());
  }
  ASSERT_TRUE(database_->Commit().ok());
  // As a killed process leaves them.
  const std::string copy = (folder_ / "copy.db").string();
  for (const char* const part : {"", "-wal"}) {
    std::filesystem::copy_file((folder_ / "q.db").string() + part, copy + part);
  }
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open_v2(copy.c_str(), &raw, SQLITE_OPEN_READWRITE, nullptr), SQLITE_OK);
  const UniqueHandle<ConnectionTraits> connection(raw);
  std::int64_t count = 0;
  const auto note = [](void* out, int, char** values, char**) {
    *static_cast<std::int64_t*>(out) = std::atoll(values[0]);
    return 0;
  };
  ASSERT_EQ(sqlite3_exec(raw, "SELECT count(*) FROM rows", note, &count, nullptr), SQLITE_OK);
  EXPECT_EQ(count, 700);
}

TEST_F(GatheredLogTest, WhatCouldNotBeWrittenIsNotWrittenLater) {
  ASSERT_TRUE(Fill(5).ok());
  disk_.FailAfter(0, FaultVfs::Fault::kFull);
  EXPECT_EQ(Fill(50).code(), StatusCode::kResourceExhausted);
  database_->Rollback();
  disk_.Heal();
  EXPECT_EQ(CountIn(*database_), 5);
  ASSERT_TRUE(Fill(7).ok());
  const auto reader = database_->OpenReader();
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ(CountIn(**reader), 7);
  EXPECT_EQ(Check(**reader), "ok");
}

}  // namespace
}  // namespace tyllm::server::store
