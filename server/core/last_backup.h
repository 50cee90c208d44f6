// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "common/base/file_system.h"

namespace tyllm::server::core {

/// Notes in the data folder (`last_backup.json`) that a backup of it is complete, whose copy of the
/// queue has everything that was acknowledged before `unix_ms`. Threads and processes: any; a
/// server may run on the folder.
Status NoteBackup(FileSystem& files, const Path& data, std::int64_t unix_ms);

/// What was noted last; nothing when no backup was made, or when the note cannot be read.
std::optional<std::int64_t> LastBackup(FileSystem& files, const Path& data);

}  // namespace tyllm::server::core
