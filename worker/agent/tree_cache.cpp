// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/tree_cache.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <string>
#include <system_error>
#include <utility>

#include "common/base/list_folder.h"

namespace tyllm::agent {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kUnfinished = ".incoming";
constexpr std::string_view kTaken = ".incoming.taken";
constexpr std::string_view kLeaving = ".removing";
constexpr std::string_view kList = ".list";
constexpr Milliseconds kLookForStop{200};

// "<sha256>-<size>": a folder's name says which tree it holds.
std::string NameOf(const format::TreeId& id) {
  return id.sha256.Hex() + "-" + std::to_string(id.size);
}

std::optional<format::TreeId> TreeOf(std::string name) {
  std::replace(name.begin(), name.end(), '-', '/');
  auto id = BlobId::Parse(name);
  return id.ok() ? std::optional(*id) : std::nullopt;
}

std::int64_t BytesUnder(const Path& folder) {
  std::int64_t bytes = 0;
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(folder, error)) {
    bytes += entry.is_regular_file(error) ? static_cast<std::int64_t>(entry.file_size(error)) : 0;
  }
  return bytes;
}

// Every file is there with its size; what it holds was verified when it came.
bool Holds(const Path& folder, const format::Tree& tree) {
  return std::ranges::all_of(tree.entries, [&](const format::TreeEntry& entry) {
    std::error_code error;
    const Path file = folder / entry.path;
    return fs::is_regular_file(file, error) && fs::file_size(file, error) == entry.blob.size;
  });
}

}  // namespace

TreeCache::Lease::~Lease() {
  if (cache_ != nullptr) {
    cache_->Leave(id_);
  }
}

Path TreeCache::Lease::path() const {
  return cache_->PathOf(id_);
}

Path TreeCache::PathOf(const format::TreeId& id) const {
  return folder_ / NameOf(id);
}

Path TreeCache::UnfinishedPathOf(const format::TreeId& id) const {
  return folder_ / (NameOf(id) + std::string(kUnfinished));
}

Path TreeCache::ListOf(const format::TreeId& id) const {
  return folder_ / (NameOf(id) + std::string(kList));
}

Result<std::unique_ptr<TreeCache>> TreeCache::Open(Path folder, std::int64_t limit,
                                                   const Clock& clock, FileSystem& files,
                                                   LocalBlobs local) {
  TYLLM_TRY(files.CreateDirectories(folder));
  std::unique_ptr<TreeCache> cache(
      new TreeCache(std::move(folder), limit, clock, files, std::move(local)));
  auto entries = cache->entries_.Lock();
  TYLLM_ASSIGN(std::vector<Path> found, ListFolder(cache->folder_));
  std::sort(found.begin(), found.end());  // a whole tree before what is unfinished of it
  for (const Path& path : found) {
    TYLLM_TRY(cache->TakeOver(path, *entries));
  }
  cache->Shrink(*entries);
  return cache;
}

Status TreeCache::TakeOver(const Path& path, Entries& entries) {
  const std::string name = path.filename().string();
  const std::size_t dot = std::min(name.find('.'), name.size());
  const std::string_view kind = std::string_view(name).substr(dot);
  const auto id = TreeOf(name.substr(0, dot));
  if (!id) {
    return OkStatus();
  }
  const auto known = entries.find(*id);
  const bool whole = known != entries.end() && known->second.ready;
  if (kind.empty()) {
    if (const auto tree = ReadWhole(*id)) {
      entries[*id] = WholeEntry(*tree);
      return OkStatus();
    }
    TYLLM_TRY(files_.RemoveAll(UnfinishedPathOf(*id)));
    TYLLM_TRY(files_.Rename(path, UnfinishedPathOf(*id)));
    entries[*id] = {.bytes = BytesUnder(UnfinishedPathOf(*id)), .last_used = clock_.Now()};
  } else if (kind == kUnfinished && !whole) {
    entries[*id] = {.bytes = BytesUnder(path), .last_used = clock_.Now()};
  } else if (kind == kUnfinished || kind == kTaken || kind == kLeaving ||
             (kind == kList && !whole)) {
    (void)files_.RemoveAll(path);  // what cannot be removed now is no harm, but for its bytes
  }
  return OkStatus();
}

TreeCache::Entry TreeCache::WholeEntry(const format::Tree& tree) const {
  return {.bytes = local_.OwnBytes(tree, PathOf(IdOf(tree))),
          .tree = std::make_shared<const format::Tree>(tree),
          .ready = true,
          .last_used = clock_.Now()};
}

std::optional<format::Tree> TreeCache::ReadWhole(const format::TreeId& id) const {
  const Result<std::string> text = files_.Read(ListOf(id));
  if (!text.ok() || text->size() != id.size || DigestOf(*text) != id.sha256) {
    return std::nullopt;
  }
  Result<format::Tree> tree = format::ParseTree(*text);
  return tree.ok() && Holds(PathOf(id), *tree) ? std::optional(*std::move(tree)) : std::nullopt;
}

Status TreeCache::MakeReady(const format::Tree& tree, const Path& folder) {
  const format::TreeId id = IdOf(tree);
  TYLLM_TRY(WriteFileAtomically(files_, ListOf(id), format::ToText(tree)));
  return files_.Rename(folder, PathOf(id));
}

Result<bool> TreeCache::Enter(const format::TreeId& id, const std::stop_token& stop) {
  auto entries = entries_.Lock();
  while (!stop.stop_requested()) {
    Entry& entry = (*entries)[id];
    if (entry.ready || entry.users == 0) {
      ++entry.users;
      entry.last_used = clock_.Now();
      return !entry.ready;
    }
    // Somebody downloads it: wait until that succeeded or was given up, or nobody wants it here.
    entries.WaitUntil(std::chrono::steady_clock::now() + kLookForStop, [&](const Entries& all) {
      const auto it = all.find(id);
      return it == all.end() || it->second.ready || it->second.users == 0;
    });
  }
  return Cancelled("waiting for a tree was stopped");
}

void TreeCache::Leave(const format::TreeId& id) {
  {
    auto entries = entries_.Lock();
    --(*entries)[id].users;
    Shrink(*entries);
  }
  entries_.Notify();
}

Status TreeCache::Remove(const format::TreeId& id, bool ready) {
  if (!ready) {
    return files_.RemoveAll(UnfinishedPathOf(id));
  }
  const Path leaving = folder_ / (NameOf(id) + std::string(kLeaving));
  TYLLM_TRY(files_.RemoveAll(leaving));
  TYLLM_TRY(files_.Rename(PathOf(id), leaving));
  // The tree is gone; what cannot be removed now goes with the next start.
  (void)files_.RemoveAll(leaving);
  (void)files_.RemoveAll(ListOf(id));
  return OkStatus();
}

bool TreeCache::RemoveOne(Entries& entries) {
  std::vector<Entries::iterator> unused;
  for (auto it = entries.begin(); it != entries.end(); ++it) {
    if (it->second.users == 0) {
      unused.push_back(it);
    }
  }
  std::ranges::sort(unused, {}, [](const Entries::iterator& it) {
    return std::pair(it->second.ready, it->second.last_used);
  });
  for (const Entries::iterator& it : unused) {
    if (Remove(it->first, it->second.ready).ok()) {
      entries.erase(it);
      return true;
    }
  }
  return false;
}

void TreeCache::Measure(Entries& entries) const {
  for (auto& [id, entry] : entries) {
    if (entry.tree != nullptr && local_.is_there()) {
      entry.bytes = local_.OwnBytes(*entry.tree, PathOf(id));
    }
  }
}

void TreeCache::Shrink(Entries& entries) {
  const auto total = [&] {
    return std::accumulate(entries.begin(), entries.end(), std::int64_t{0},
                           [](std::int64_t sum, const auto& e) { return sum + e.second.bytes; });
  };
  while (total() + others_ > limit_ && RemoveOne(entries)) {
  }
}

void TreeCache::MakeWayFor(std::int64_t bytes) {
  others_ = bytes;
  auto entries = entries_.Lock();
  Measure(*entries);
  Shrink(*entries);
}

std::int64_t TreeCache::Reserved(const Entries& entries) const {
  std::int64_t reserved = 0;
  for (const auto& [id, entry] : entries) {
    if (entry.coming) {
      reserved +=
          std::max<std::int64_t>(0, entry.bytes + entry.shared - BytesUnder(UnfinishedPathOf(id)));
    }
  }
  return reserved;
}

Status TreeCache::MakeRoom(const format::Tree& tree) {
  const format::TreeId id = IdOf(tree);
  const auto bytes = static_cast<std::int64_t>(tree.bytes());
  auto entries = entries_.Lock();
  // Of an earlier try, or of the blobs of a server on this machine.
  const std::int64_t here = BytesUnder(UnfinishedPathOf(id));
  Entry& entry = (*entries)[id];
  entry.bytes = local_.OwnBytes(tree, UnfinishedPathOf(id));
  entry.shared = bytes - entry.bytes;
  Shrink(*entries);
  while (true) {
    // In this order: what a download writes meanwhile makes the room look smaller, never larger.
    const std::int64_t reserved = Reserved(*entries);
    TYLLM_ASSIGN(const std::uint64_t free, files_.FreeBytes(folder_));
    const std::int64_t needed = bytes - here;
    if (needed <= static_cast<std::int64_t>(free) - reserved) {
      entry.coming = true;
      return OkStatus();
    }
    if (!RemoveOne(*entries)) {
      const std::string others =
          reserved > 0 ? " (" + std::to_string(reserved) + " of them for other downloads)" : "";
      return ResourceExhausted(folder_.string() + " has " + std::to_string(free) + " bytes free" +
                               others + ", the tree needs " + std::to_string(needed) +
                               " more; make room or give the worker a larger disk");
    }
  }
}

Result<format::Tree> TreeCache::Download(const format::TreeId& id, wire::BlobTransfer& transfer,
                                         const wire::BlobTransfer::Progress& progress,
                                         const std::stop_token& stop) {
  const Path incoming = UnfinishedPathOf(id);
  TYLLM_ASSIGN(const format::Tree tree, transfer.ReadTree(id, stop));
  local_.Place(tree, incoming);
  TYLLM_TRY(MakeRoom(tree));
  TYLLM_TRY(transfer.DownloadTree(tree, incoming, progress, stop));
  TYLLM_TRY(MakeReady(tree, incoming));
  return tree;
}

Result<TreeCache::Lease> TreeCache::Fetch(const format::TreeId& id, wire::BlobTransfer& transfer,
                                          const wire::BlobTransfer::Progress& progress,
                                          const std::stop_token& stop) {
  TYLLM_ASSIGN(const bool is_absent, Enter(id, stop));
  if (is_absent) {
    const Result<format::Tree> tree = Download(id, transfer, progress, stop);
    {
      auto entries = entries_.Lock();
      Entry& entry = (*entries)[id];
      const int users = entry.users;
      entry = tree.ok()
                  ? WholeEntry(*tree)
                  : Entry{.bytes = BytesUnder(UnfinishedPathOf(id)), .last_used = entry.last_used};
      entry.users = users;
    }
    if (!tree.ok()) {
      Leave(id);
      return tree.status().Annotate("fetching tree " + id.sha256.Hex().substr(0, 12));
    }
    entries_.Notify();
  }
  return Lease(*this, id);
}

void TreeCache::Adopt(const format::Tree& tree, const Path& folder) {
  const format::TreeId id = IdOf(tree);
  local_.Share(tree, folder);
  auto entries = entries_.Lock();
  const auto known = entries->find(id);
  if (known != entries->end() && (known->second.ready || known->second.users > 0)) {
    return;
  }
  // A failure only means that the tree is fetched when it is wanted.
  if (Holds(folder, tree) && MakeReady(tree, folder).ok()) {
    (void)files_.RemoveAll(UnfinishedPathOf(id));
    (*entries)[id] = WholeEntry(tree);
    Shrink(*entries);
  }
}

std::vector<format::TreeId> TreeCache::Recent(std::size_t most) {
  std::vector<std::pair<Clock::Steady, format::TreeId>> found;
  {
    auto entries = entries_.Lock();
    for (const auto& [id, entry] : *entries) {
      if (entry.ready) {
        found.emplace_back(entry.last_used, id);
      }
    }
  }
  std::sort(found.begin(), found.end(), std::greater<>());
  found.resize(std::min(found.size(), most));
  std::vector<format::TreeId> recent;
  for (const auto& [used, id] : found) {
    recent.push_back(id);
  }
  return recent;
}

}  // namespace tyllm::agent
