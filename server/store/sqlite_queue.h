// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "common/base/file_system.h"
#include "server/store/queue.h"

namespace tyllm::server::store {

struct SqliteOptions {
  Path file;                      ///< created when absent; its folder exists
  std::string toolchain_version;  ///< goes into action keys
  std::string vfs;                ///< name of a registered SQLite VFS; empty: the default
  sched::Fairness fairness = {};  ///< how use is counted
  Path copies = {};               ///< an older schema is copied there before it is migrated
};

/// The queue in one SQLite file (docs/formats/sqlite_schema.md): WAL, and what a commit
/// wrote is on the disk when it returns, or once its log was synced (Queue::OpenLogSync). Migrated
/// to this program's schema. Errors: kFailedPrecondition for a newer schema or a file of another
/// program, kUnavailable when another process has it open.
Result<std::unique_ptr<Queue>> OpenSqliteQueue(const SqliteOptions& options);

}  // namespace tyllm::server::store
