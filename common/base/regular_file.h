// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "common/base/file_system.h"
#include "common/base/handle.h"

namespace tyllm {

/// A file that is open for reading.
struct RegularFile {
  Fd fd;
  std::size_t size = 0;  ///< bytes, when it was opened
};

/// kFailedPrecondition for a folder, a pipe or a device, without waiting for who writes into it.
Result<RegularFile> OpenRegularFile(const Path& path);

}  // namespace tyllm
