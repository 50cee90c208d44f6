// SPDX-License-Identifier: Apache-2.0
#include "server/store/page_cache.h"

#include <sqlite3.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <unordered_map>
#include <utility>
#include <vector>

namespace tyllm::server::store {

namespace {

using Number = unsigned;

/// What is known of a page. SQLite's own notes of it lie behind in the same block.
struct Slot {
  sqlite3_pcache_page page{};  ///< what SQLite gets; goes first
  Number number = 0;
  bool used = false;    ///< by a page
  bool pinned = false;  ///< SQLite works with it, or it is changed and not written
  bool recent = false;  ///< used since the hand last passed

  static Slot& Of(sqlite3_pcache_page* page) {
    return *reinterpret_cast<Slot*>(page);  // NOLINT: it is its first member
  }
};

/// Slots by the numbers of their pages. Numbers are dense but for one now and then: where the
/// pages of an index change places, one of them passes over the number of the page that SQLite
/// locks and never fills, 1 GiB into the file.
class Table {
 public:
  explicit Table(std::size_t page_bytes)
      : never_filled_(static_cast<Number>(kLockedByte / page_bytes + 1)) {}

  Slot* Find(Number number) const {
    if (IsNear(number)) {
      return near_[number];
    }
    const auto found = far_.find(number);
    return found == far_.end() ? nullptr : found->second;
  }

  void Put(Number number, Slot* slot) {
    if (number >= near_.size() && number < 2 * near_.size() + kFirstSize) {
      Widen(number);
    }
    if (IsNear(number)) {
      near_[number] = slot;
      highest_ = std::max(highest_, number);
    } else {
      far_[number] = slot;
    }
  }

  void Remove(Number number) {
    if (IsNear(number)) {
      near_[number] = nullptr;
    } else {
      far_.erase(number);
    }
  }

  /// Calls `drop` with every slot whose page has this number or a higher one, and forgets them.
  template <typename Drop>
  void Truncate(Number first, Drop drop) {
    for (Number number = first; number <= highest_ && number < near_.size(); ++number) {
      if (Slot* const slot = std::exchange(near_[number], nullptr)) {
        drop(*slot);
      }
    }
    highest_ = std::min(highest_, first == 0 ? 0 : first - 1);
    std::erase_if(far_, [&](const auto& one) {
      if (one.first >= first) {
        drop(*one.second);
      }
      return one.first >= first;
    });
  }

 private:
  static constexpr std::size_t kFirstSize = 1024;
  static constexpr std::size_t kLockedByte = std::size_t{1} << 30;

  // The page that only passes over its number would lead Truncate through all below it.
  bool IsNear(Number number) const { return number < near_.size() && number != never_filled_; }

  void Widen(Number number) {
    near_.resize(std::max<std::size_t>(2 * near_.size(), number + kFirstSize));
    std::erase_if(far_, [&](const auto& one) {
      const bool is_near = IsNear(one.first);
      if (is_near) {
        near_[one.first] = one.second;
        highest_ = std::max(highest_, one.first);
      }
      return is_near;
    });
  }

  Number never_filled_;
  std::vector<Slot*> near_;
  std::unordered_map<Number, Slot*> far_;
  Number highest_ = 0;  ///< no near page has a higher number
};

/// Memory for pages, in groups: what is on them in one piece, slots in another. Of a larger cache
/// the pieces are as large as the large pages of memory.
class Groups {
 public:
  Groups(std::size_t page_bytes, std::size_t extra_bytes)
      : page_bytes_(page_bytes),
        slot_bytes_((sizeof(Slot) + extra_bytes + kAlignment - 1) / kAlignment * kAlignment) {}

  /// Appends new slots. False: there is no memory.
  bool Grow(std::vector<Slot*>& slots) {
    const std::size_t count = std::clamp(slots.size(), kFewest, kMost);
    const std::size_t bytes = count * page_bytes_;
    const std::size_t alignment = bytes >= kLargePage ? kLargePage : kSmallPage;
    Piece pages(std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment));
    Piece heads(std::aligned_alloc(kAlignment, count * slot_bytes_));
    if (!pages || !heads) {
      return false;
    }
    for (std::size_t i = 0; i < count; ++i) {
      auto* const head = static_cast<std::byte*>(heads.get()) + i * slot_bytes_;
      auto* const slot = new (head) Slot;
      slot->page.pBuf = static_cast<std::byte*>(pages.get()) + i * page_bytes_;
      slot->page.pExtra = head + sizeof(Slot);
      slots.push_back(slot);
    }
    pieces_.push_back(std::move(pages));
    pieces_.push_back(std::move(heads));
    return true;
  }

 private:
  static constexpr std::size_t kAlignment = 64;
  static constexpr std::size_t kSmallPage = 4096;
  static constexpr std::size_t kLargePage = 2 << 20;
  static constexpr std::size_t kFewest = 32;
  static constexpr std::size_t kMost = 512;

  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };

  using Piece = std::unique_ptr<void, Free>;

  std::size_t page_bytes_;
  std::size_t slot_bytes_;
  std::vector<Piece> pieces_;
};

/// The pages of one connection. When it is full, a hand goes round over the slots and gives away
/// the first page that was not used since it last came (the clock algorithm).
class PageCache {
 public:
  PageCache(int page_bytes, int extra_bytes)
      : extra_bytes_(static_cast<std::size_t>(extra_bytes)),
        groups_(static_cast<std::size_t>(page_bytes), extra_bytes_),
        table_(static_cast<std::size_t>(page_bytes)) {}

  static PageCache& Of(sqlite3_pcache* cache) {
    return *reinterpret_cast<PageCache*>(cache);  // NOLINT
  }

  sqlite3_pcache* handle() { return reinterpret_cast<sqlite3_pcache*>(this); }  // NOLINT

  void SetLimit(int pages) {
    limit_ = static_cast<std::size_t>(std::max(pages, 1));
    while (count() > limit_ && count() > pinned_) {
      Drop(*Victim());
    }
  }

  int count_as_int() const { return static_cast<int>(count()); }

  /// `create` is SQLite's: 0 never, 1 unless it could write changed pages instead, 2 if at all
  /// possible.
  sqlite3_pcache_page* Fetch(Number number, int create) {
    Slot* slot = table_.Find(number);
    if (slot == nullptr) {
      if (create == 0 || (create == 1 && pinned_ >= limit_ * 9 / 10)) {
        return nullptr;
      }
      slot = Make(number);
      if (slot == nullptr) {
        return nullptr;
      }
    }
    pinned_ += slot->pinned ? 0 : 1;
    slot->pinned = true;
    slot->recent = true;
    return &slot->page;
  }

  void Unpin(Slot& slot, bool discard) {
    if (discard || count() > limit_) {
      Drop(slot);
    } else {
      slot.pinned = false;
      --pinned_;
    }
  }

  void Rekey(Slot& slot, Number from, Number to) {
    if (Slot* const there = table_.Find(to); there != nullptr && there != &slot) {
      Drop(*there);
    }
    table_.Remove(from);
    table_.Put(to, &slot);
    slot.number = to;
  }

  void Truncate(Number first) {
    table_.Truncate(first, [this](Slot& slot) { Release(slot); });
  }

  void Shrink() {
    while (count() > pinned_) {
      Drop(*Victim());
    }
  }

 private:
  std::size_t count() const { return slots_.size() - free_.size(); }

  Slot* Make(Number number) {
    if (count() >= limit_ && count() > pinned_) {
      Drop(*Victim());
    }
    if (free_.empty() && !Grow()) {
      if (count() == pinned_) {
        return nullptr;
      }
      Drop(*Victim());
    }
    Slot* const slot = free_.back();
    free_.pop_back();
    slot->number = number;
    slot->used = true;
    std::memset(slot->page.pExtra, 0, extra_bytes_);
    table_.Put(number, slot);
    return slot;
  }

  bool Grow() {
    const std::size_t before = slots_.size();
    if (!groups_.Grow(slots_)) {
      return false;
    }
    free_.assign(slots_.rbegin(), slots_.rend() - static_cast<std::ptrdiff_t>(before));
    return true;
  }

  // There is one that is not pinned.
  Slot* Victim() {
    while (true) {
      hand_ = hand_ + 1 < slots_.size() ? hand_ + 1 : 0;
      Slot& slot = *slots_[hand_];
      if (!slot.used || slot.pinned) {
        continue;
      }
      if (!slot.recent) {
        return &slot;
      }
      slot.recent = false;
    }
  }

  void Drop(Slot& slot) {
    table_.Remove(slot.number);
    Release(slot);
  }

  void Release(Slot& slot) {
    pinned_ -= slot.pinned ? 1 : 0;
    slot.used = false;
    slot.pinned = false;
    slot.recent = false;
    free_.push_back(&slot);
  }

  std::size_t extra_bytes_;
  Groups groups_;
  Table table_;
  std::vector<Slot*> slots_;  ///< all there are
  std::vector<Slot*> free_;   ///< without a page
  std::size_t limit_ = 1;     ///< of pages, unless more are pinned
  std::size_t pinned_ = 0;
  std::size_t hand_ = 0;
};

// What SQLite calls. No exception may reach it: none is thrown but for lack of memory, which ends
// a process of ours anyway.
struct Calls {
  static int Init(void* /*context*/) { return SQLITE_OK; }

  static void Shutdown(void* /*context*/) {}

  // What cannot be read again stays pinned, so both kinds are kept alike.
  static sqlite3_pcache* Create(int page, int extra, int /*purgeable*/) {
    return (new PageCache(page, extra))->handle();
  }

  static void Destroy(sqlite3_pcache* cache) { delete &PageCache::Of(cache); }

  static void SetLimit(sqlite3_pcache* cache, int pages) { PageCache::Of(cache).SetLimit(pages); }

  static int Count(sqlite3_pcache* cache) { return PageCache::Of(cache).count_as_int(); }

  static sqlite3_pcache_page* Fetch(sqlite3_pcache* cache, unsigned number, int create) {
    return PageCache::Of(cache).Fetch(number, create);
  }

  static void Unpin(sqlite3_pcache* cache, sqlite3_pcache_page* page, int discard) {
    PageCache::Of(cache).Unpin(Slot::Of(page), discard != 0);
  }

  static void Rekey(sqlite3_pcache* cache, sqlite3_pcache_page* page, unsigned from, unsigned to) {
    PageCache::Of(cache).Rekey(Slot::Of(page), from, to);
  }

  static void Truncate(sqlite3_pcache* cache, unsigned first) {
    PageCache::Of(cache).Truncate(first);
  }

  static void Shrink(sqlite3_pcache* cache) { PageCache::Of(cache).Shrink(); }
};

}  // namespace

const sqlite3_pcache_methods2& PageCacheMethods() {
  static const sqlite3_pcache_methods2 methods{
      .iVersion = 1,
      .pArg = nullptr,
      .xInit = Calls::Init,
      .xShutdown = Calls::Shutdown,
      .xCreate = Calls::Create,
      .xCachesize = Calls::SetLimit,
      .xPagecount = Calls::Count,
      .xFetch = Calls::Fetch,
      .xUnpin = Calls::Unpin,
      .xRekey = Calls::Rekey,
      .xTruncate = Calls::Truncate,
      .xDestroy = Calls::Destroy,
      .xShrink = Calls::Shrink,
  };
  return methods;
}

void InstallPageCache() {
  sqlite3_config(SQLITE_CONFIG_PCACHE2, &PageCacheMethods());
}

}  // namespace tyllm::server::store
