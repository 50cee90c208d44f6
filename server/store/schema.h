// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "server/store/database.h"

namespace tyllm::server::store {

/// The schema that this program reads and writes: the number of migrations there are.
std::int64_t SchemaVersion();

/// The schema that the database has; 0 for a new file.
Result<std::int64_t> SchemaOf(Database& database);

/// A database of an older schema is copied to `<folder>/queue-schema-<number>.db` first, unless a
/// copy of that name is there from an earlier try.
Status CopyBeforeMigration(Database& database, const Path& folder);

/// Brings the database to `version`, one transaction a step. A newer schema is kFailedPrecondition
/// and stays as it is; so does a file that another program made.
Status Migrate(Database& database, std::int64_t version = SchemaVersion());

}  // namespace tyllm::server::store
