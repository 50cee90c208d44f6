// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "server/store/database.h"

namespace tyllm::server::store {

/// The schema that this program reads and writes: the number of migrations there are.
std::int64_t SchemaVersion();

/// Brings the database to `version`, one transaction a step. A newer schema is kFailedPrecondition
/// and stays as it is; so does a file that another program made.
Status Migrate(Database& database, std::int64_t version = SchemaVersion());

}  // namespace tyllm::server::store
