// SPDX-License-Identifier: Apache-2.0
#include "server/store/page_cache.h"

#include <sqlite3.h>

#include <algorithm>
#include <new>

namespace tyllm::server::store {

namespace {

/// SQLite's own.
const sqlite3_pcache_methods2& Default() {
  static const sqlite3_pcache_methods2 methods = [] {
    sqlite3_pcache_methods2 found{};
    sqlite3_config(SQLITE_CONFIG_GETPCACHE2, &found);
    return found;
  }();
  return methods;
}

/// The pages of one connection, with what is known of their numbers.
class PageCache {
 public:
  explicit PageCache(sqlite3_pcache* pages) : pages_(pages) {}

  static PageCache& Of(sqlite3_pcache* cache) {
    return *reinterpret_cast<PageCache*>(cache);
  }  // NOLINT

  sqlite3_pcache* pages() const { return pages_; }

  void Made(unsigned number) { highest_ = std::max(highest_, number); }

  // A page that two others change places over has a number far above all: for a moment.
  void Moved(unsigned from, unsigned to) {
    if (from == passing_) {
      passing_ = 0;
    }
    if (to > highest_ && passing_ == 0) {
      passing_ = to;
    } else {
      Made(to);
    }
  }

  /// Some page may have that number or a higher one.
  bool Reaches(unsigned number) const { return std::max(highest_, passing_) >= number; }

  void Truncated(unsigned first) {
    highest_ = std::min(highest_, first == 0 ? 0 : first - 1);
    if (passing_ >= first) {
      passing_ = 0;
    }
  }

 private:
  sqlite3_pcache* pages_;
  unsigned highest_ = 0;  ///< no page but the passing one has a higher number
  unsigned passing_ = 0;  ///< 0: none
};

/// What SQLite calls.
struct Calls {
  static sqlite3_pcache* Create(int page, int extra, int purgeable) {
    sqlite3_pcache* const pages = Default().xCreate(page, extra, purgeable);
    if (pages == nullptr) {
      return nullptr;
    }
    auto* const cache = new (std::nothrow) PageCache(pages);
    if (cache == nullptr) {
      Default().xDestroy(pages);
    }
    return reinterpret_cast<sqlite3_pcache*>(cache);  // NOLINT
  }

  static void Destroy(sqlite3_pcache* cache) {
    Default().xDestroy(PageCache::Of(cache).pages());
    delete &PageCache::Of(cache);
  }

  static sqlite3_pcache_page* Fetch(sqlite3_pcache* cache, unsigned number, int create) {
    sqlite3_pcache_page* const page =
        Default().xFetch(PageCache::Of(cache).pages(), number, create);
    if (create != 0 && page != nullptr) {
      PageCache::Of(cache).Made(number);
    }
    return page;
  }

  static void Rekey(sqlite3_pcache* cache, sqlite3_pcache_page* page, unsigned from, unsigned to) {
    Default().xRekey(PageCache::Of(cache).pages(), page, from, to);
    PageCache::Of(cache).Moved(from, to);
  }

  static void Truncate(sqlite3_pcache* cache, unsigned first) {
    if (PageCache::Of(cache).Reaches(first)) {
      Default().xTruncate(PageCache::Of(cache).pages(), first);
      PageCache::Of(cache).Truncated(first);
    }
  }

  template <auto kMethod, typename... Arguments>
  static auto Pass(sqlite3_pcache* cache, Arguments... arguments) {
    return (Default().*kMethod)(PageCache::Of(cache).pages(), arguments...);
  }
};

}  // namespace

void InstallPageCache() {
  sqlite3_pcache_methods2 methods = Default();
  methods.xCreate = Calls::Create;
  methods.xDestroy = Calls::Destroy;
  methods.xFetch = Calls::Fetch;
  methods.xRekey = Calls::Rekey;
  methods.xTruncate = Calls::Truncate;
  methods.xCachesize = Calls::Pass<&sqlite3_pcache_methods2::xCachesize, int>;
  methods.xPagecount = Calls::Pass<&sqlite3_pcache_methods2::xPagecount>;
  methods.xUnpin = Calls::Pass<&sqlite3_pcache_methods2::xUnpin, sqlite3_pcache_page*, int>;
  methods.xShrink = Calls::Pass<&sqlite3_pcache_methods2::xShrink>;
  sqlite3_config(SQLITE_CONFIG_PCACHE2, &methods);
}

}  // namespace tyllm::server::store
