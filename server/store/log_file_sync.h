// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "common/base/result.h"
#include "server/store/log_sync.h"

namespace tyllm::server::store {

/// Syncs a write-ahead log that a connection writes, over a handle of its own of the SQLite VFS of
/// that name (empty: the machine's). `lost` becomes true when a sync fails: then what the log's
/// file shows need not be on the disk, and nothing may be put from it into the database.
Result<std::unique_ptr<LogSync>> OpenLogFileSync(const std::string& log, const std::string& vfs,
                                                 std::shared_ptr<std::atomic<bool>> lost);

/// Makes the log's file so long, with zeros that are on the disk when it returns: a sync after
/// writing over what is there takes half as long as one after writing behind the end (ext4 has
/// extents and an inode to write then). To SQLite zeros are the end of what a log says. Where there
/// is no room nothing changes. While nobody writes the log.
void LengthenLog(const std::string& log, std::int64_t bytes);

}  // namespace tyllm::server::store
