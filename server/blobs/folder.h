// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/base/digest.h"
#include "common/base/file_system.h"
#include "common/base/guarded.h"
#include "server/blobs/blob_store.h"
#include "server/blobs/file_range.h"

namespace tyllm::server::blobs {

/// The names and the moves that readers and writers of a blob folder share
/// (docs/formats/blob_folder.md). Threads: any.
class Folder {
 public:
  /// Uploads of one blob that can go on at the same time, each in a file of its own.
  static constexpr int kSlots = 16;

  /// Times of files are `clock`'s, which outlives it: the one that callers count ages by.
  Folder(FileSystem& files, Path root, const Clock& clock);

  /// Creates what is missing, makes what an earlier process renamed durable, and counts.
  Status Open();

  FileSystem& files() const { return files_; }

  Path CompletePath(const BlobId& id) const;

  /// There with the right size, and durable.
  bool Has(const BlobId& id);

  std::uint64_t total_bytes();

  struct Slot {
    Path path;
    std::uint64_t size = 0;  ///< bytes in it
  };

  /// The unfinished upload that nobody writes and that has the most bytes; a size of 0 when there
  /// is none.
  std::uint64_t ResumableBytes(const BlobId& id);

  /// Reserves the file for an upload from `offset` on, until ReleaseSlot.
  Result<Slot> TakeSlot(const BlobId& id, std::uint64_t offset);
  void ReleaseSlot(const Slot& slot);

  /// A complete and synced upload.
  struct Arrived {
    BlobId id;
    Path partial;
  };

  /// Moves a complete and synced upload to its final name, durably.
  Status Publish(const BlobId& id, const Path& partial);
  /// Likewise of several blobs, each once, with one sync of a folder for all in it; what each ended
  /// with.
  std::vector<Status> PublishAll(std::span<const Arrived> arrived);

  /// Takes a blob whose digest is wrong out of the way, so that it can be uploaded again. Nothing
  /// when `read` is not what is there now: another reader was first, and it was uploaded since.
  void SetAside(const BlobId& id, const FileRange& read);
  Path SetAsidePath(const BlobId& id) const;

  void NoteUse(const BlobId& id);
  Result<BlobStore::Removed> RemoveUnused(std::span<const BlobId> used,
                                          std::int64_t before_unix_millis);

  Status DropStaleUploads(std::int64_t before_unix_millis);

 private:
  struct Shared {
    std::set<Path> writing;
    std::set<BlobId> publishing;
    std::set<Path> fans;        ///< folders of complete blobs that are durable
    std::set<BlobId> doubtful;  ///< files that could be neither made durable nor removed
    std::uint64_t total = 0;
  };

  Path PartialPath(const BlobId& id, int slot) const;
  std::optional<Slot> LongestIdle(const Shared& shared, const BlobId& id) const;

  /// A file on its way to its final name.
  struct Move {
    Arrived arrived;
    bool doubtful = false;  ///< what has the name now may not be durable
    std::optional<std::uint64_t> before = std::nullopt;  ///< bytes of what has the name now
    bool is_missing = false;
    Status status;
  };

  std::vector<Move> BeginPublishing(std::span<const Arrived> arrived);
  /// Whether it is there already; then what arrived goes.
  void LookForPlace(Move& move);
  std::map<Path, Status> MakeFans(std::span<const Move> moves);
  /// Of one that was moved, whose folder was synced since.
  void Settle(Move& move, const Status& durable);
  void EndPublishing(const Move& move);
  void NoteTime(const Path& path) const;
  /// False also for a time to come: the clock was set back since. It is then as if noted now.
  bool IsOlder(const Path& path, std::int64_t before_unix_millis) const;
  /// True when it went.
  bool RemoveIfUnused(const Path& path, std::int64_t before_unix_millis);
  void DropIdleSlots(const Shared& shared, const BlobId& id) const;

  FileSystem& files_;
  const Path root_;
  const Clock& clock_;
  Guarded<Shared> shared_;
};

}  // namespace tyllm::server::blobs
