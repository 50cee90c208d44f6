// SPDX-License-Identifier: Apache-2.0
#include "server/blobs/folder_blob_store.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "server/blobs/file_range.h"
#include "server/blobs/folder.h"
#include "server/blobs/small_blobs.h"

namespace tyllm::server::blobs {

namespace {

constexpr std::size_t kPiece = 1 << 20;

class Writer final : public BlobWriter {
 public:
  Writer(Folder& folder, const BlobId& id, Folder::Slot slot)
      : folder_(folder), id_(id), slot_(std::move(slot)) {}

  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  ~Writer() override {
    if (file_) {
      (void)file_->Close();  // whatever is missing will be sent again
    }
    if (offset_ == 0) {
      (void)folder_.files().RemoveAll(slot_.path);
    }
    folder_.ReleaseSlot(slot_);
  }

  /// Opens the file and digests what an earlier upload left in it.
  Status Open() {
    if (slot_.size == 0) {
      TYLLM_ASSIGN(file_, folder_.files().Create(slot_.path));
      return OkStatus();
    }
    TYLLM_ASSIGN(FileRange range, FileRange::Open(slot_.path, 0, slot_.size));
    std::vector<std::byte> piece(kPiece);
    while (offset_ < slot_.size) {
      TYLLM_ASSIGN(const std::size_t got, range.Read(piece));
      digest_.Update(std::span(piece).first(got));
      offset_ += got;
    }
    TYLLM_ASSIGN(file_, folder_.files().OpenForUpdate(slot_.path));
    return OkStatus();
  }

  std::uint64_t offset() const override { return offset_; }

  Status Append(std::span<const std::byte> bytes) override {
    TYLLM_TRY(broken_);
    if (bytes.size() > id_.size - offset_) {
      return Break(InvalidArgument("upload of blob " + id_.ToString() + " is longer than the " +
                                   std::to_string(id_.size) + " bytes that its name says"));
    }
    if (Status status = file_->Append(bytes); !status.ok()) {
      return Break(status);
    }
    digest_.Update(bytes);
    offset_ += bytes.size();
    return OkStatus();
  }

  Status Commit() override {
    TYLLM_TRY(broken_);
    if (offset_ != id_.size) {
      return FailedPrecondition("upload of blob " + id_.ToString() + " ended at byte " +
                                std::to_string(offset_) + " of " + std::to_string(id_.size) +
                                "; send the rest")
          .With("offset", static_cast<std::int64_t>(offset_))
          .With("size", static_cast<std::int64_t>(id_.size));
    }
    broken_ = FailedPrecondition("the upload has ended");
    if (const Sha256 found = digest_.Finish(); found != id_.sha256) {
      offset_ = 0;  // throws the file away
      return Break(DataLoss("uploaded bytes have the digest " + found.Hex() + ", expected " +
                            id_.sha256.Hex() + "; send the blob again from its start"));
    }
    if (Status status = Publish(); !status.ok()) {
      return Break(status);
    }
    return OkStatus();
  }

 private:
  Status Publish() {
    if (Status synced = file_->Sync(); !synced.ok()) {
      offset_ = 0;  // after a failed sync the page cache cannot be trusted: start from nothing
      return synced;
    }
    TYLLM_TRY(std::exchange(file_, nullptr)->Close());
    return folder_.Publish(id_, slot_.path);
  }

  Status Break(Status status) {
    broken_ = status;
    return status;
  }

  Folder& folder_;
  const BlobId id_;
  const Folder::Slot slot_;
  std::unique_ptr<OutputFile> file_;
  Sha256Stream digest_;
  std::uint64_t offset_ = 0;
  Status broken_;
};

class Reader final : public BlobReader {
 public:
  /// `verify`: the range is the whole blob.
  Reader(Folder& folder, const BlobId& id, FileRange range, bool verify)
      : folder_(folder), id_(id), range_(std::move(range)) {
    if (verify) {
      digest_.emplace();
    }
  }

  Result<std::size_t> Read(std::span<std::byte> buffer) override {
    TYLLM_ASSIGN(const std::size_t got, range_.Read(buffer));
    if (digest_ && got > 0) {
      digest_->Update(buffer.first(got));
    }
    if (digest_ && got == 0) {
      const Sha256 found = digest_->Finish();
      digest_.reset();
      if (found != id_.sha256) {
        folder_.SetAside(id_, range_);
        return DataLoss("blob " + id_.ToString() + " on the server's disk has the digest " +
                        found.Hex() + "; it was set aside, upload it again");
      }
    }
    return got;
  }

 private:
  Folder& folder_;
  const BlobId id_;
  FileRange range_;
  std::optional<Sha256Stream> digest_;
};

class FolderBlobStore final : public BlobStore {
 public:
  FolderBlobStore(FileSystem& files, const Path& root, const Clock& clock)
      : folder_(files, root, clock) {}

  Status Open() { return folder_.Open(); }

  Result<bool> Has(const BlobId& id) override { return folder_.Has(id); }

  Result<std::uint64_t> UploadOffset(const BlobId& id) override {
    return folder_.Has(id) ? id.size : folder_.ResumableBytes(id);
  }

  Result<std::unique_ptr<BlobWriter>> StartUpload(const BlobId& id, std::uint64_t offset) override {
    if (folder_.Has(id)) {
      return AlreadyExists("blob " + id.ToString() + " is there already");
    }
    TYLLM_ASSIGN(Folder::Slot slot, folder_.TakeSlot(id, offset));
    auto writer = std::make_unique<Writer>(folder_, id, std::move(slot));
    TYLLM_TRY(writer->Open());
    return std::unique_ptr<BlobWriter>(std::move(writer));
  }

  Result<std::unique_ptr<BlobReader>> OpenRead(const BlobId& id, std::uint64_t offset,
                                               std::uint64_t limit) override {
    if (!folder_.Has(id)) {
      return NotFound("the server has no blob " + id.ToString());
    }
    if (offset > id.size) {
      return OutOfRange("blob " + id.ToString() + " has no byte " + std::to_string(offset));
    }
    const std::uint64_t rest = id.size - offset;
    const std::uint64_t end = offset + (limit == 0 ? rest : std::min(limit, rest));
    TYLLM_ASSIGN(FileRange range, FileRange::Open(folder_.CompletePath(id), offset, end));
    return std::unique_ptr<BlobReader>(
        std::make_unique<Reader>(folder_, id, std::move(range), offset == 0 && end == id.size));
  }

  Result<std::string> ReadSetAside(const BlobId& id, std::uint64_t limit) override {
    const Path path = folder_.SetAsidePath(id);
    std::error_code error;
    if (!std::filesystem::exists(path, error)) {
      return NotFound("nothing was set aside of blob " + id.ToString());
    }
    const std::uint64_t size = std::min(id.size, limit);
    TYLLM_ASSIGN(FileRange range, FileRange::Open(path, 0, size));
    std::string bytes(size, '\0');
    for (std::size_t done = 0; done < size;) {
      TYLLM_ASSIGN(const std::size_t got,
                   range.Read(std::as_writable_bytes(std::span(bytes)).subspan(done)));
      done += got;
    }
    return bytes;
  }

  std::vector<Status> WriteTogether(std::span<const Content> blobs) override {
    return StoreTogether(folder_, blobs);
  }

  std::uint64_t TotalBytes() override { return folder_.total_bytes(); }

  void NoteUse(const BlobId& id) override { folder_.NoteUse(id); }

  Result<Removed> RemoveUnused(std::span<const BlobId> used,
                               std::int64_t before_unix_millis) override {
    return folder_.RemoveUnused(used, before_unix_millis);
  }

  Status DropStaleUploads(std::int64_t before_unix_millis) override {
    return folder_.DropStaleUploads(before_unix_millis);
  }

 private:
  Folder folder_;
};

}  // namespace

Result<std::unique_ptr<BlobStore>> OpenFolderBlobStore(FileSystem& files, const Path& root,
                                                       const Clock& clock) {
  auto store = std::make_unique<FolderBlobStore>(files, root, clock);
  TYLLM_TRY(store->Open());
  return std::unique_ptr<BlobStore>(std::move(store));
}

}  // namespace tyllm::server::blobs
