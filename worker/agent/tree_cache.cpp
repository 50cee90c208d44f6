// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/tree_cache.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <string>
#include <system_error>
#include <utility>

namespace tyllm::agent {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kUnfinished = ".incoming";
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

Result<std::unique_ptr<TreeCache>> TreeCache::Open(Path folder, std::int64_t limit,
                                                   const Clock& clock) {
  TYLLM_TRY(LocalFileSystem().CreateDirectories(folder));
  std::unique_ptr<TreeCache> cache(new TreeCache(std::move(folder), limit, clock));
  auto entries = cache->entries_.Lock();
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(cache->folder_, error)) {
    std::string name = entry.path().filename().string();
    const bool ready = !name.ends_with(kUnfinished);
    if (const auto id = TreeOf(ready ? name : name.substr(0, name.size() - kUnfinished.size()))) {
      (*entries)[*id] = {BytesUnder(entry.path()), 0, ready, clock.Now()};
    }
  }
  if (error) {
    return FromErrno(error.value(), "listing " + cache->folder_.string());
  }
  cache->Shrink(*entries);
  return cache;
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

bool TreeCache::RemoveOne(Entries& entries) {
  auto victim = entries.end();
  const auto rank = [](const Entry& entry) { return std::pair(entry.ready, entry.last_used); };
  for (auto it = entries.begin(); it != entries.end(); ++it) {
    if (it->second.users == 0 &&
        (victim == entries.end() || rank(it->second) < rank(victim->second))) {
      victim = it;
    }
  }
  if (victim == entries.end()) {
    return false;
  }
  const Path path = victim->second.ready ? PathOf(victim->first) : UnfinishedPathOf(victim->first);
  const bool removed = LocalFileSystem().RemoveAll(path).ok();
  if (removed) {
    entries.erase(victim);
  }
  return removed;
}

void TreeCache::Shrink(Entries& entries) {
  const auto total = [&] {
    return std::accumulate(entries.begin(), entries.end(), std::int64_t{0},
                           [](std::int64_t sum, const auto& e) { return sum + e.second.bytes; });
  };
  while (total() > limit_ && RemoveOne(entries)) {
  }
}

Status TreeCache::MakeRoom(const format::TreeId& id, std::int64_t bytes) {
  auto entries = entries_.Lock();
  const std::int64_t here = BytesUnder(UnfinishedPathOf(id));  // of an earlier try
  (*entries)[id].bytes = bytes;
  Shrink(*entries);
  while (true) {
    TYLLM_ASSIGN(const std::uint64_t free, LocalFileSystem().FreeBytes(folder_));
    const std::int64_t needed = bytes - here;
    if (needed <= static_cast<std::int64_t>(free)) {
      return OkStatus();
    }
    if (!RemoveOne(*entries)) {
      return ResourceExhausted(folder_.string() + " has " + std::to_string(free) +
                               " bytes free, the tree needs " + std::to_string(needed) +
                               " more; make room or give the worker a larger disk");
    }
  }
}

Status TreeCache::Download(const format::TreeId& id, wire::BlobTransfer& transfer,
                           const wire::BlobTransfer::Progress& progress,
                           const std::stop_token& stop) {
  const Path incoming = UnfinishedPathOf(id);
  TYLLM_ASSIGN(const format::Tree tree, transfer.ReadTree(id, stop));
  TYLLM_TRY(MakeRoom(id, static_cast<std::int64_t>(tree.bytes())));
  TYLLM_TRY(transfer.DownloadTree(tree, incoming, progress, stop));
  return LocalFileSystem().Rename(incoming, PathOf(id));
}

Result<TreeCache::Lease> TreeCache::Fetch(const format::TreeId& id, wire::BlobTransfer& transfer,
                                          const wire::BlobTransfer::Progress& progress,
                                          const std::stop_token& stop) {
  TYLLM_ASSIGN(const bool is_absent, Enter(id, stop));
  if (is_absent) {
    const Status status = Download(id, transfer, progress, stop);
    {
      auto entries = entries_.Lock();
      (*entries)[id].ready = status.ok();
      if (!status.ok()) {
        (*entries)[id].bytes = BytesUnder(UnfinishedPathOf(id));
      }
    }
    if (!status.ok()) {
      Leave(id);
      return status.Annotate("fetching tree " + id.sha256.Hex().substr(0, 12));
    }
    entries_.Notify();
  }
  return Lease(*this, id);
}

void TreeCache::Adopt(const format::TreeId& id, std::uint64_t bytes, const Path& folder) {
  auto entries = entries_.Lock();
  const auto known = entries->find(id);
  if (known != entries->end() && (known->second.ready || known->second.users > 0)) {
    return;
  }
  // A failed rename only means that the tree is fetched when it is wanted.
  if (LocalFileSystem().Rename(folder, PathOf(id)).ok()) {
    (void)LocalFileSystem().RemoveAll(UnfinishedPathOf(id));
    (*entries)[id] = {static_cast<std::int64_t>(bytes), 0, true, clock_.Now()};
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
