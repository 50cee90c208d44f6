// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "common/base/file_system.h"

namespace tyllm::server::app {

struct Copied {
  std::int64_t files = 0;
  std::uint64_t bytes = 0;
};

/// Copies every file below `from` to the same place below `to`, each whole and on the disk under
/// its name or not at all; one that is there with the same size is left alone. No error when `from`
/// is not there, nor for files and folders that go away meanwhile.
Result<Copied> CopyFiles(const Path& from, const Path& to);

}  // namespace tyllm::server::app
