// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
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

}  // namespace tyllm::server::store
