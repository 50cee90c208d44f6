// SPDX-License-Identifier: Apache-2.0
#include "server/blobs/blob_store.h"

#include <set>

namespace tyllm::server::blobs {

Result<std::vector<BlobId>> BlobStore::FindMissing(std::span<const BlobId> ids) {
  std::vector<BlobId> missing;
  std::set<BlobId> seen;
  for (const BlobId& id : ids) {
    if (!seen.insert(id).second) {
      continue;
    }
    TYLLM_ASSIGN(const bool there, Has(id));
    if (!there) {
      missing.push_back(id);
    }
  }
  return missing;
}

Result<std::string> BlobStore::ReadSmall(const BlobId& id, std::uint64_t limit) {
  if (id.size > limit) {
    return FailedPrecondition("blob " + id.ToString() + " has " + std::to_string(id.size) +
                              " bytes, at most " + std::to_string(limit) + " are expected here");
  }
  TYLLM_ASSIGN(const std::unique_ptr<BlobReader> reader, OpenRead(id, 0, 0));
  std::string content(id.size, '\0');
  const std::span<std::byte> space = std::as_writable_bytes(std::span(content));
  std::size_t filled = 0;
  while (true) {
    // The call at the end is the one that verifies, so that it is made even when all is filled.
    std::byte spare{};
    const std::span<std::byte> rest = space.subspan(filled);
    TYLLM_ASSIGN(const std::size_t got, reader->Read(rest.empty() ? std::span(&spare, 1) : rest));
    if (got == 0) {
      return content;
    }
    filled += got;
  }
}

Result<BlobId> BlobStore::WriteSmall(std::string_view content) {
  const BlobId id{DigestOf(content), content.size()};
  Result<std::unique_ptr<BlobWriter>> writer = StartUpload(id, 0);
  if (writer.status().code() == StatusCode::kAlreadyExists) {
    return id;
  }
  TYLLM_TRY(writer.status());
  TYLLM_TRY((*writer)->Append(std::as_bytes(std::span(content))));
  TYLLM_TRY((*writer)->Commit());
  return id;
}

}  // namespace tyllm::server::blobs
