// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/digest.h"

namespace tyllm::server::blobs {

/// One upload. Not thread-safe. Bytes are digested as they come. Dropping it without Commit keeps
/// what came so far, for an upload that goes on later. After an error every further call gives the
/// same error.
class BlobWriter {
 public:
  virtual ~BlobWriter() = default;

  /// Bytes of the blob so far, those of earlier uploads that this one continues included.
  virtual std::uint64_t offset() const = 0;

  /// More than the blob's size is kInvalidArgument.
  virtual Status Append(std::span<const std::byte> bytes) = 0;

  /// Verifies size and digest and makes the blob durable; only then is it there for anybody.
  /// Missing bytes are kFailedPrecondition (the upload can go on later). A wrong digest is
  /// kDataLoss, and what was uploaded is thrown away.
  virtual Status Commit() = 0;
};

/// A range of a blob, in order. Not thread-safe.
class BlobReader {
 public:
  virtual ~BlobReader() = default;

  /// Fills `buffer` from its front and says how much of it; 0 at the end. A reader of the whole
  /// blob digests it on the way: when that is wrong the last call is kDataLoss instead of the end.
  virtual Result<std::size_t> Read(std::span<std::byte> buffer) = 0;
};

/// Files by content. A blob is complete and durable, or it is not there. Calls block on the disk:
/// run them where that does no harm. Threads: any.
class BlobStore {
 public:
  virtual ~BlobStore() = default;

  virtual Result<bool> Has(const BlobId& id) = 0;

  /// Those of `ids` that are not there, each once, in order.
  Result<std::vector<BlobId>> FindMissing(std::span<const BlobId> ids);

  /// Where an upload can go on: bytes of an unfinished one that nobody is writing now, also after a
  /// restart. `id.size` when the blob is there.
  virtual Result<std::uint64_t> UploadOffset(const BlobId& id) = 0;

  /// `offset` is 0 (from nothing) or what UploadOffset said; anything else is kOutOfRange. Uploads
  /// of one blob at the same time do not disturb each other. kAlreadyExists when the blob is there.
  virtual Result<std::unique_ptr<BlobWriter>> StartUpload(const BlobId& id,
                                                          std::uint64_t offset) = 0;

  /// At most `limit` bytes from `offset` on; a limit of 0 is all. kNotFound without the blob,
  /// kOutOfRange for an offset beyond its end.
  virtual Result<std::unique_ptr<BlobReader>> OpenRead(const BlobId& id, std::uint64_t offset,
                                                       std::uint64_t limit) = 0;

  /// The whole blob. Larger than `limit` is kFailedPrecondition.
  Result<std::string> ReadSmall(const BlobId& id, std::uint64_t limit);

  /// What was found in place of a blob whose digest was wrong, as it was; at most `limit` bytes.
  /// kNotFound when none was set aside.
  virtual Result<std::string> ReadSetAside(const BlobId& id, std::uint64_t limit) = 0;

  /// Stores a blob that is in memory; no error when it is there already.
  Result<BlobId> WriteSmall(std::string_view content);

  struct Content {
    BlobId id;
    std::string_view bytes;
  };

  /// Stores blobs that are in memory, for less than storing each costs; what each ended with. One
  /// without an error is verified and durable. Another size is kInvalidArgument, another digest
  /// kDataLoss.
  virtual std::vector<Status> WriteTogether(std::span<const Content> blobs) = 0;

  /// Bytes of all complete blobs.
  virtual std::uint64_t TotalBytes() = 0;

  /// The blob is wanted now: it is not removed as unused for a while. No error when it is not
  /// there.
  virtual void NoteUse(const BlobId& id) = 0;

  struct Removed {
    std::int64_t blobs = 0;
    std::uint64_t bytes = 0;
  };

  /// Removes complete blobs that are not among `used` (sorted) and were neither uploaded nor used
  /// since then, by the clock that the store was opened with. What it noted at a time that is yet
  /// to come, because that clock was set back since, counts as used now; likewise below.
  virtual Result<Removed> RemoveUnused(std::span<const BlobId> used,
                                       std::int64_t before_unix_millis) = 0;

  /// Throws away unfinished uploads that got nothing since then and that nobody is writing.
  virtual Status DropStaleUploads(std::int64_t before_unix_millis) = 0;
};

}  // namespace tyllm::server::blobs
