// SPDX-License-Identifier: Apache-2.0
#include "server/blobs/small_blobs.h"

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "common/base/write_together.h"

namespace tyllm::server::blobs {

namespace {

/// A file of `partial` that a blob is written to; what is left of it goes in the end.
class Place {
 public:
  Place(Folder& folder, Folder::Slot slot) : folder_(&folder), slot_(std::move(slot)) {}

  Place(Place&& other) noexcept
      : folder_(std::exchange(other.folder_, nullptr)), slot_(std::move(other.slot_)) {}

  Place& operator=(Place&&) = delete;

  ~Place() {
    if (folder_ != nullptr) {
      (void)folder_->files().RemoveAll(slot_.path);
      folder_->ReleaseSlot(slot_);
    }
  }

  const Path& path() const { return slot_.path; }

 private:
  Folder* folder_;
  Folder::Slot slot_;
};

struct Arriving {
  Place place;
  std::string_view bytes;
  Status status;
};

using ByName = std::map<BlobId, Arriving>;

Status Check(const BlobStore::Content& blob) {
  if (blob.bytes.size() != blob.id.size) {
    return InvalidArgument("blob " + blob.id.ToString() + " came with " +
                           std::to_string(blob.bytes.size()) + " bytes, expected " +
                           std::to_string(blob.id.size));
  }
  if (const Sha256 found = DigestOf(blob.bytes); found != blob.id.sha256) {
    return DataLoss("uploaded bytes have the digest " + found.Hex() + ", expected " +
                    blob.id.sha256.Hex() + "; send the blob again");
  }
  return OkStatus();
}

// Bytes that are right get a place, unless they are there already or on their way.
Status Begin(Folder& folder, const BlobStore::Content& blob, ByName& arriving) {
  TYLLM_TRY(Check(blob));
  if (arriving.contains(blob.id)) {
    return OkStatus();
  }
  folder.NoteUse(blob.id);  // before it is found to be there
  if (folder.Has(blob.id)) {
    return OkStatus();
  }
  TYLLM_ASSIGN(Folder::Slot slot, folder.TakeSlot(blob.id, 0));
  arriving.emplace(blob.id, Arriving{Place(folder, std::move(slot)), blob.bytes, {}});
  return OkStatus();
}

void Write(Folder& folder, ByName& arriving) {
  std::vector<SmallFile> files;
  for (const auto& [id, one] : arriving) {
    files.push_back({one.place.path(), one.bytes});
  }
  std::vector<Status> written = tyllm::WriteTogether(folder.files(), files);
  auto status = written.begin();
  for (auto& [id, one] : arriving) {
    one.status = std::move(*status++);
  }
}

void Publish(Folder& folder, ByName& arriving) {
  std::vector<Folder::Arrived> arrived;
  for (const auto& [id, one] : arriving) {
    if (one.status.ok()) {
      arrived.push_back({id, one.place.path()});
    }
  }
  const std::vector<Status> published = folder.PublishAll(arrived);
  for (std::size_t i = 0; i < arrived.size(); ++i) {
    arriving.at(arrived[i].id).status = published[i];
  }
}

}  // namespace

std::vector<Status> StoreTogether(Folder& folder, std::span<const BlobStore::Content> blobs) {
  std::vector<Status> ended;
  ByName arriving;
  for (const BlobStore::Content& blob : blobs) {
    ended.push_back(Begin(folder, blob, arriving));
  }
  Write(folder, arriving);
  Publish(folder, arriving);
  for (std::size_t i = 0; i < blobs.size(); ++i) {
    const auto one = arriving.find(blobs[i].id);
    if (ended[i].ok() && one != arriving.end()) {
      ended[i] = one->second.status;
    }
  }
  return ended;
}

}  // namespace tyllm::server::blobs
