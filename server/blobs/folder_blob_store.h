// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/base/clock.h"
#include "common/base/file_system.h"
#include "server/blobs/blob_store.h"

namespace tyllm::server::blobs {

/// Blobs as files of a folder, which nobody else writes (docs/formats/blob_folder.md):
///
///   <root>/complete/<first 2 digits>/<64 digits>
///   <root>/partial/<64 digits>-<size>.<n>        unfinished uploads
///   <root>/corrupt/<64 digits>                   set aside because the digest was wrong on reading
///
/// Creates the folder when it is absent. `files` and `clock`, whose time files get, must outlive
/// the store.
Result<std::unique_ptr<BlobStore>> OpenFolderBlobStore(FileSystem& files, const Path& root,
                                                       const Clock& clock);

}  // namespace tyllm::server::blobs
