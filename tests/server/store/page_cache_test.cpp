// SPDX-License-Identifier: Apache-2.0
#include "server/store/page_cache.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <random>
#include <vector>

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

/// A cache as SQLite makes and uses it, with what must be in it.
class UsedCache {
 public:
  static constexpr int kPage = 512;
  static constexpr int kExtra = 24;

  explicit UsedCache(int limit) : cache_(calls_.xCreate(kPage, kExtra, 1)) {
    calls_.xCachesize(cache_, limit);
  }

  UsedCache(const UsedCache&) = delete;
  UsedCache& operator=(const UsedCache&) = delete;

  ~UsedCache() { calls_.xDestroy(cache_); }

  int count() { return calls_.xPagecount(cache_); }

  const std::map<unsigned, sqlite3_pcache_page*>& pinned() const { return pinned_; }

  bool Fetch(unsigned number, int create) {
    sqlite3_pcache_page* const page = calls_.xFetch(cache_, number, create);
    if (page == nullptr) {
      EXPECT_FALSE(pinned_.contains(number)) << number;
      return false;
    }
    // SQLite knows a page that is new to the cache by its first pointer.
    void*& known = *static_cast<void**>(page->pExtra);
    if (known == nullptr) {
      EXPECT_NE(create, 0);
      EXPECT_FALSE(pinned_.contains(number)) << number;
      known = page;
      Write(page, number);
    }
    ExpectWritten(page, number);
    pinned_[number] = page;
    return true;
  }

  void Unpin(unsigned number, bool discard) {
    calls_.xUnpin(cache_, pinned_.at(number), discard ? 1 : 0);
    pinned_.erase(number);
    if (discard) {
      EXPECT_EQ(calls_.xFetch(cache_, number, 0), nullptr);
    }
  }

  void Move(unsigned from, unsigned to) {
    sqlite3_pcache_page* const page = pinned_.at(from);
    calls_.xRekey(cache_, page, from, to);
    pinned_.erase(from);
    pinned_[to] = page;
    Write(page, to);
    EXPECT_EQ(calls_.xFetch(cache_, from, 0), nullptr);
    EXPECT_EQ(calls_.xFetch(cache_, to, 0), page);
  }

  void Truncate(unsigned first) {
    calls_.xTruncate(cache_, first);
    pinned_.erase(pinned_.lower_bound(first), pinned_.end());
  }

  void Shrink() {
    calls_.xShrink(cache_);
    EXPECT_EQ(count(), static_cast<int>(pinned_.size()));
  }

  void ExpectPinnedAreThere() {
    for (const auto& [number, page] : pinned_) {
      EXPECT_EQ(calls_.xFetch(cache_, number, 0), page) << number;
      ExpectWritten(page, number);
    }
  }

 private:
  static void Write(sqlite3_pcache_page* page, unsigned number) {
    std::memset(page->pBuf, static_cast<int>(number % 251), kPage);
    std::memcpy(page->pBuf, &number, sizeof(number));
  }

  static void ExpectWritten(sqlite3_pcache_page* page, unsigned number) {
    unsigned written = 0;
    std::memcpy(&written, page->pBuf, sizeof(written));
    EXPECT_EQ(written, number);
    EXPECT_EQ(static_cast<unsigned char*>(page->pBuf)[kPage - 1], number % 251);
  }

  const sqlite3_pcache_methods2& calls_ = PageCacheMethods();
  sqlite3_pcache* cache_;
  std::map<unsigned, sqlite3_pcache_page*> pinned_;
};

TEST(PageCacheCalls, AFullCacheGivesAwayWhatWasNotUsedLately) {
  UsedCache cache(100);
  for (unsigned number = 1; number <= 100; ++number) {
    ASSERT_TRUE(cache.Fetch(number, 2));
    cache.Unpin(number, false);
  }
  for (unsigned number = 101; number <= 400; ++number) {
    ASSERT_TRUE(cache.Fetch(7, 0)) << "page 7 is used all the time, and gone at " << number;
    cache.Unpin(7, false);
    ASSERT_TRUE(cache.Fetch(number, 2));
    cache.Unpin(number, false);
    EXPECT_EQ(cache.count(), 100);
  }
}

TEST(PageCacheCalls, PinnedPagesAreMoreThanItsLimitOnlyWhenTheyMust) {
  UsedCache cache(100);
  unsigned number = 1;
  while (cache.Fetch(number, 1)) {
    ++number;
    ASSERT_LT(number, 200U);
  }
  EXPECT_GE(number, 90U);
  for (; number <= 150; ++number) {
    ASSERT_TRUE(cache.Fetch(number, 2));
  }
  EXPECT_EQ(cache.count(), 150);
  cache.Unpin(3, false);  // above the limit: it goes
  EXPECT_EQ(cache.count(), 149);
  cache.ExpectPinnedAreThere();
}

TEST(PageCacheCalls, AnyOrderOfCallsLeavesWhatIsPinned) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    const auto below = [&](unsigned limit) { return static_cast<unsigned>(random() % limit); };
    UsedCache cache(20 + static_cast<int>(below(200)));
    const auto any_pinned = [&] {
      auto it = cache.pinned().begin();
      std::advance(it, below(static_cast<unsigned>(cache.pinned().size())));
      return it->first;
    };
    for (int step = 0; step < 3000; ++step) {
      const unsigned action = below(100);
      if (action < 50 || cache.pinned().empty()) {
        cache.Fetch(1 + below(600), static_cast<int>(below(3)));
      } else if (action < 90) {
        cache.Unpin(any_pinned(), below(5) == 0);
      } else if (action < 97) {
        const unsigned to = below(2) == 0 ? 1 + below(600) : 262'145;
        if (!cache.pinned().contains(to)) {
          cache.Move(any_pinned(), to);
        }
      } else if (action < 99) {
        cache.Truncate(1 + below(700));
      } else {
        cache.Shrink();
      }
    }
    cache.ExpectPinnedAreThere();
  }
}

}  // namespace
}  // namespace tyllm::server::store
