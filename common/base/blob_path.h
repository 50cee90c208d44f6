// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "common/base/digest.h"
#include "common/base/file_system.h"

namespace tyllm {

/// Where a server's blob folder has a complete blob (docs/formats/blob_folder.md).
inline Path CompleteBlobPath(const Path& blob_folder, const Sha256& digest) {
  const std::string hex = digest.Hex();
  return blob_folder / "complete" / hex.substr(0, 2) / hex;
}

}  // namespace tyllm
