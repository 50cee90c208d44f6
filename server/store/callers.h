// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "server/store/database.h"

// Table callers: names of those who ask, by number. Rows are made when they are first needed and
// stay.
namespace tyllm::server::store::callers {

/// Nothing for an empty name.
Result<std::optional<std::int64_t>> FindOrMake(Database& db, const std::string& name);

}  // namespace tyllm::server::store::callers
