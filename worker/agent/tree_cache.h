// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <vector>

#include "common/base/clock.h"
#include "common/base/file_system.h"
#include "common/base/guarded.h"
#include "common/format/tree.h"
#include "common/wire/blob_transfer.h"
#include "worker/agent/local_blobs.h"

namespace tyllm::agent {

/// Input trees as folders, kept for later tasks up to a limit, which holds for what they do not
/// share with the blobs of a server on this machine; unfinished downloads that nobody waits for go
/// first, then the longest unused trees, those in use never. Threads: any; two tasks that want one
/// tree wait for one download. Of a tree there is at most one of these:
///   <sha256>-<size>           the whole tree; <sha256>-<size>.list beside it is its text
///   <sha256>-<size>.incoming  a part of it, to go on from
///   <sha256>-<size>.removing  what is left of it, of use to nobody
class TreeCache {
 public:
  /// Keeps a tree's folder in place as long as it lives.
  class Lease {
   public:
    Lease(TreeCache& cache, format::TreeId id) : cache_(&cache), id_(id) {}

    Lease(Lease&& other) noexcept : cache_(other.cache_), id_(other.id_) { other.cache_ = nullptr; }

    Lease& operator=(Lease&&) = delete;
    ~Lease();

    Path path() const;

   private:
    TreeCache* cache_;
    format::TreeId id_;
  };

  /// Takes over what an earlier process left in `folder`; unfinished downloads go on when they are
  /// wanted, and so do trees of which a file is missing or has another size than their text says.
  static Result<std::unique_ptr<TreeCache>> Open(Path folder, std::int64_t limit,
                                                 const Clock& clock, FileSystem& files,
                                                 LocalBlobs local = LocalBlobs());

  /// The tree's folder, downloaded when it is not there. kResourceExhausted when the disk has no
  /// room for it, also after everything that is not in use has gone.
  Result<Lease> Fetch(const format::TreeId& id, wire::BlobTransfer& transfer,
                      const wire::BlobTransfer::Progress& progress, const std::stop_token& stop);
  /// Takes over a folder that holds the tree: a task's output is often the next one's input. One
  /// whose files are not there or have other sizes is left where it is.
  void Adopt(const format::Tree& tree, const Path& folder);
  /// Bytes of other things that the limit holds for, too; 0 at first.
  void MakeWayFor(std::int64_t bytes);
  /// Trees that are here, used last first, at most `most`.
  std::vector<format::TreeId> Recent(std::size_t most);

 private:
  struct Entry {
    std::int64_t bytes = 0;  ///< that would be free without it: what it shares with blobs is theirs
    std::int64_t shared = 0;                             ///< with blobs, while it is downloaded
    std::shared_ptr<const format::Tree> tree = nullptr;  ///< of a whole one
    int users = 0;
    bool ready = false;   ///< else what there is of it lies under another name
    bool coming = false;  ///< it is downloaded, `bytes` are what it will have
    Clock::Steady last_used{};
  };

  using Entries = std::map<format::TreeId, Entry>;

  TreeCache(Path folder, std::int64_t limit, const Clock& clock, FileSystem& files,
            LocalBlobs local)
      : folder_(std::move(folder)),
        limit_(limit),
        clock_(clock),
        files_(files),
        local_(std::move(local)) {}

  Path PathOf(const format::TreeId& id) const;
  Path UnfinishedPathOf(const format::TreeId& id) const;
  Path ListOf(const format::TreeId& id) const;
  /// Of a folder with a whole tree's name: the tree, by the text beside it, if it is one.
  std::optional<format::Tree> ReadWhole(const format::TreeId& id) const;
  /// Enters the folder `path` if it is a tree's; what is not whole counts as unfinished.
  Status TakeOver(const Path& path, Entries& entries);
  /// Gives a folder that holds the whole tree its name.
  Status MakeReady(const format::Tree& tree, const Path& folder);
  /// A whole tree loses its name before its first file: a half removed one is never taken for it.
  Status Remove(const format::TreeId& id, bool ready);
  /// Adds a user; true when the caller has to download. kCancelled after a stop request.
  Result<bool> Enter(const format::TreeId& id, const std::stop_token& stop);
  void Leave(const format::TreeId& id);
  /// Removes one that nobody uses; false when there is none.
  bool RemoveOne(Entries& entries);
  void Shrink(Entries& entries);
  Entry WholeEntry(const format::Tree& tree) const;
  /// A server on this machine may have removed blobs that trees shared.
  void Measure(Entries& entries) const;
  /// Bytes that the downloads under way have yet to write.
  std::int64_t Reserved(const Entries& entries) const;
  /// Room for a download on the disk, beside those that are under way, and in the limit as far as
  /// others can go. Reserved from then on.
  Status MakeRoom(const format::Tree& tree);
  Result<format::Tree> Download(const format::TreeId& id, wire::BlobTransfer& transfer,
                                const wire::BlobTransfer::Progress& progress,
                                const std::stop_token& stop);

  Path folder_;
  std::int64_t limit_;
  const Clock& clock_;
  FileSystem& files_;
  const LocalBlobs local_;
  std::atomic<std::int64_t> others_ = 0;
  Guarded<Entries> entries_;
};

}  // namespace tyllm::agent
