// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "common/base/file_system.h"

namespace tyllm {

/// kResourceExhausted, with both numbers, where the disk of `out` has no room for so many bytes
/// more of `what` ("the quantized model"). Folders that are not there yet are made on the disk of
/// the one above. A disk that does not tell passes.
Status CheckDiskRoom(FileSystem& files, const Path& out, std::uint64_t needed,
                     std::string_view what);

}  // namespace tyllm
