// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/tree_cache.h"

#include <algorithm>
#include <string>
#include <system_error>
#include <utility>

namespace tyllm::agent {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kUnfinished = ".incoming";

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

}  // namespace

TreeCache::Lease::~Lease() {
  if (cache_ != nullptr) {
    cache_->Leave(id_, true, 0);
  }
}

Path TreeCache::Lease::path() const {
  return cache_->PathOf(id_);
}

Path TreeCache::PathOf(const format::TreeId& id) const {
  return folder_ / NameOf(id);
}

Result<std::unique_ptr<TreeCache>> TreeCache::Open(Path folder, std::int64_t limit,
                                                   const Clock& clock) {
  TYLLM_TRY(LocalFileSystem().CreateDirectories(folder));
  std::unique_ptr<TreeCache> cache(new TreeCache(std::move(folder), limit, clock));
  auto entries = cache->entries_.Lock();
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(cache->folder_, error)) {
    if (const auto id = TreeOf(entry.path().filename().string())) {
      (*entries)[*id] = {BytesUnder(entry.path()), 0, true, clock.Now()};
    }
  }
  if (error) {
    return FromErrno(error.value(), "listing " + cache->folder_.string());
  }
  return cache;
}

bool TreeCache::Enter(const format::TreeId& id) {
  auto entries = entries_.Lock();
  while (true) {
    Entry& entry = (*entries)[id];
    if (entry.ready || entry.users == 0) {
      ++entry.users;
      entry.last_used = clock_.Now();
      return !entry.ready;
    }
    // Somebody downloads it: wait until that succeeded or was given up.
    entries.Wait([&](const Entries& all) {
      const auto it = all.find(id);
      return it == all.end() || it->second.ready || it->second.users == 0;
    });
  }
}

void TreeCache::Leave(const format::TreeId& id, bool ready, std::int64_t bytes) {
  {
    auto entries = entries_.Lock();
    Entry& entry = (*entries)[id];
    --entry.users;
    entry.ready = entry.ready || ready;
    entry.bytes += bytes;
    if (!entry.ready && entry.users == 0) {
      entries->erase(id);
    }
    Shrink(*entries);
  }
  entries_.Notify();
}

void TreeCache::Shrink(Entries& entries) {
  std::int64_t total = 0;
  for (const auto& [id, entry] : entries) {
    total += entry.bytes;
  }
  while (total > limit_) {
    auto oldest = entries.end();
    for (auto it = entries.begin(); it != entries.end(); ++it) {
      const bool free = it->second.ready && it->second.users == 0;
      if (free && (oldest == entries.end() || it->second.last_used < oldest->second.last_used)) {
        oldest = it;
      }
    }
    if (oldest == entries.end() || !LocalFileSystem().RemoveAll(PathOf(oldest->first)).ok()) {
      return;
    }
    total -= oldest->second.bytes;
    entries.erase(oldest);
  }
}

Result<std::int64_t> TreeCache::Download(const format::TreeId& id, wire::BlobTransfer& transfer,
                                         const wire::BlobTransfer::Progress& progress,
                                         const std::stop_token& stop) {
  Path incoming = PathOf(id);
  incoming += kUnfinished;
  TYLLM_ASSIGN(const format::Tree tree, transfer.ReadTree(id, stop));
  TYLLM_TRY(transfer.DownloadTree(tree, incoming, progress, stop));
  TYLLM_TRY(LocalFileSystem().Rename(incoming, PathOf(id)));
  return static_cast<std::int64_t>(tree.bytes());
}

Result<TreeCache::Lease> TreeCache::Fetch(const format::TreeId& id, wire::BlobTransfer& transfer,
                                          const wire::BlobTransfer::Progress& progress,
                                          const std::stop_token& stop) {
  if (Enter(id)) {
    const auto bytes = Download(id, transfer, progress, stop);
    if (!bytes.ok()) {
      Leave(id, false, 0);
      return bytes.status().Annotate("fetching tree " + id.sha256.Hex().substr(0, 12));
    }
    {
      auto entries = entries_.Lock();
      (*entries)[id].ready = true;
      (*entries)[id].bytes = *bytes;
      Shrink(*entries);
    }
    entries_.Notify();
  }
  return Lease(*this, id);
}

void TreeCache::Adopt(const format::TreeId& id, std::uint64_t bytes, const Path& folder) {
  auto entries = entries_.Lock();
  // A failed rename only means that the tree is fetched when it is wanted.
  if (!entries->contains(id) && LocalFileSystem().Rename(folder, PathOf(id)).ok()) {
    (*entries)[id] = {static_cast<std::int64_t>(bytes), 0, true, clock_.Now()};
    Shrink(*entries);
  }
}

}  // namespace tyllm::agent
