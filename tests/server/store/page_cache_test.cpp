// SPDX-License-Identifier: Apache-2.0
#include "server/store/page_cache.h"

#include <gtest/gtest.h>

#include <cstdint>

#include "server/store/database.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::server::store {
namespace {

// Rows at random places of their table: pages are split, and change places, all over the tree.
constexpr Sql kAdd{
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) "
    "INSERT INTO rows SELECT randomblob(32), randomblob(300) FROM n"};
constexpr Sql kCount{"SELECT count(*), coalesce(sum(length(bytes)), 0) FROM rows"};
constexpr Sql kRemove{"DELETE FROM rows WHERE substr(key, 1, 1) < x'80'"};
constexpr Sql kCheck{"PRAGMA integrity_check"};

class PageCacheTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto database = Database::Open((folder_ / "q.db").string(), "");
    ASSERT_TRUE(database.ok()) << database.status().ToString();
    database_ = *std::move(database);
    ASSERT_TRUE(
        database_->Execute("CREATE TABLE rows(key BLOB PRIMARY KEY, bytes BLOB) WITHOUT ROWID")
            .ok());
  }

  void TearDown() override { database_.reset(); }

  void Add(std::int64_t rows, bool keep) {
    ASSERT_TRUE(database_->Begin().ok());
    ASSERT_TRUE(database_->Change(kAdd, rows).ok());
    if (keep) {
      ASSERT_TRUE(database_->Commit().ok());
      count_ += rows;
    } else {
      database_->Rollback();
    }
  }

  void ExpectWhole() {
    auto rows = database_->Query(kCount);
    ASSERT_TRUE(rows.ok() && rows->Next().ok());
    EXPECT_EQ(rows->Integer(0), count_);
    EXPECT_EQ(rows->Integer(1), count_ * 300);
    auto check = database_->Query(kCheck);
    ASSERT_TRUE(check.ok() && check->Next().ok());
    EXPECT_EQ(check->Text(0), "ok");
  }

  const testing::TemporaryDirectory folder_;
  std::unique_ptr<Database> database_;
  std::int64_t count_ = 0;
};

// Pages that a transaction has added must not be found in the place of those that come after it.
TEST_F(PageCacheTest, AfterTransactionsThatAreTakenBackTheirPagesAreGone) {
  for (int i = 0; i < 30; ++i) {
    ASSERT_NO_FATAL_FAILURE(Add(50 + 40 * i, true));
    ASSERT_NO_FATAL_FAILURE(Add(700, false));
  }
  ExpectWhole();
}

TEST_F(PageCacheTest, AFileThatShrinksAndGrowsAgainIsRead) {
  for (int i = 0; i < 4; ++i) {
    ASSERT_NO_FATAL_FAILURE(Add(2000, true));
    ASSERT_TRUE(database_->Begin().ok());
    const auto removed = database_->Change(kRemove);
    ASSERT_TRUE(removed.ok() && database_->Commit().ok());
    count_ -= *removed;
    ASSERT_TRUE(database_->Execute("VACUUM").ok());
    ExpectWhole();
  }
}

TEST_F(PageCacheTest, AnotherConnectionSeesWhatIsThereAfterEachTransaction) {
  const auto reader = database_->OpenReader();
  ASSERT_TRUE(reader.ok());
  for (int i = 0; i < 20; ++i) {
    ASSERT_NO_FATAL_FAILURE(Add(100, true));
    ASSERT_NO_FATAL_FAILURE(Add(300, false));
    auto rows = (*reader)->Query(kCount);
    ASSERT_TRUE(rows.ok() && rows->Next().ok());
    EXPECT_EQ(rows->Integer(0), count_);
  }
}

}  // namespace
}  // namespace tyllm::server::store
