// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "common/base/file_system.h"
#include "common/base/result.h"
#include "server/store/database.h"

namespace tyllm::server::store {

/// What is wrong with a queue's database of this program's schema that nobody has open: SQLite's
/// own checks, and what the tables must say of each other. Empty: nothing. At most a few dozen
/// lines.
Result<std::vector<std::string>> CheckDatabase(const Path& file);

/// Trees that jobs, results or unfinished work of such a database refer to; sorted, each once.
/// Takes nothing else of it for right.
Result<std::vector<BlobId>> TreesNamed(const Path& file);

/// What breaks those rules that are quickly looked at: of tasks that somebody holds, and of queued
/// ones whose result is there. For any connection, while a server runs.
Result<std::vector<std::string>> CheckLive(Database& database);

/// After a restore: ids that were given out after the backup are not given out again, so that a
/// worker or a client of that time cannot mean something else by them.
Status SkipIds(Database& database);

}  // namespace tyllm::server::store
