// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "common/base/clock.h"
#include "common/base/file_system.h"

namespace tyllm::server::core {

/// Notes in the data folder (`last_backup.json`) that a backup of it is complete, whose copy of the
/// queue has everything that was acknowledged before `unix_ms`. Threads and processes: any; a
/// server may run on the folder.
Status NoteBackup(FileSystem& files, const Path& data, std::int64_t unix_ms);

/// What was noted last; nothing when no backup was made, or when the note cannot be read.
std::optional<std::int64_t> LastBackup(FileSystem& files, const Path& data);

/// How old a backup is, whatever the machine's clock is set to. Not thread-safe.
class BackupAge {
 public:
  /// `machine`: the clock that backups are noted by.
  explicit BackupAge(const Clock& machine) : machine_(machine) {}

  /// Of the backup that was noted at `made`. No less than it has been asked about, so that one that
  /// seems to be of a time to come, since the clock is behind, grows older all the same.
  Milliseconds Of(std::int64_t made_unix_ms);

 private:
  struct Known {
    std::int64_t made_unix_ms = 0;
    Clock::Steady since;
  };

  const Clock& machine_;
  std::optional<Known> known_;
};

}  // namespace tyllm::server::core
