// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "common/base/file_system.h"

namespace tyllm::quant {

/// kResourceExhausted, with both numbers, where the disk of `out` has no room for so many bytes
/// more. A disk that does not tell passes.
Status CheckDiskRoom(FileSystem& files, const Path& out, std::uint64_t needed);

}  // namespace tyllm::quant
