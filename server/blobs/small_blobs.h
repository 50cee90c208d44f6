// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "server/blobs/folder.h"

namespace tyllm::server::blobs {

/// BlobStore::WriteTogether in a folder.
std::vector<Status> StoreTogether(Folder& folder, std::span<const BlobStore::Content> blobs);

}  // namespace tyllm::server::blobs
