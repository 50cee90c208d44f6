// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "common/base/file_system.h"

namespace tyllm::server::store {

/// Bytes of a database's file.
struct CompactSizes {
  std::uint64_t before = 0;
  std::uint64_t after = 0;
};

/// Copies what a queue's database of this program's schema holds, which nobody has open, into a new
/// file without free pages, on the disk when it returns. Nothing of it has gone: every table has as
/// many rows, and both pass CheckDatabase. The old file then has no write-ahead log beside it.
/// kFailedPrecondition when something is wrong with it, kResourceExhausted when the disk of `to`
/// has not the room.
Result<CompactSizes> CopyCompactly(FileSystem& files, const Path& from, const Path& to);

}  // namespace tyllm::server::store
