// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/file_system.h"
#include "common/domain/worker_sync.h"

namespace tyllm::server::store {

/// Logs of attempts as files <root>/<task>/<attempt>.log. What was answered is on the disk: bytes
/// of which a sync failed, or that an earlier process left unsynced, do not count before they are
/// written or synced again. Not thread-safe.
class LogFiles {
 public:
  LogFiles(FileSystem& files, Path root) : files_(files), root_(std::move(root)) {}

  /// Adds what is not there yet of `bytes` at `offset` and returns the size on the disk, synced. A
  /// gap is kOutOfRange and names the size.
  Result<std::int64_t> Append(const domain::AttemptId& id, std::int64_t offset,
                              std::string_view bytes);

  /// Bytes that are on the disk; 0 for a log of which nothing came.
  Result<std::int64_t> Size(const domain::AttemptId& id);

  /// At most `limit` bytes from `offset`; empty beyond the end.
  Result<std::string> Read(const domain::AttemptId& id, std::int64_t offset,
                           std::int64_t limit) const;

  /// Forgets all attempts of a task.
  Status Remove(domain::TaskId task);

  /// Those that have a log.
  Result<std::vector<domain::TaskId>> Tasks() const;

 private:
  /// What is known of a log that was written to.
  struct Known {
    std::int64_t durable = 0;
    bool settled = false;  ///< nothing that this process did not write lies beyond
  };

  Path PathOf(const domain::AttemptId& id) const;
  Result<std::int64_t> SizeOfFile(const domain::AttemptId& id) const;
  Result<Known*> Find(const domain::AttemptId& id);
  Status CreateRoot();
  Status WriteDurably(const domain::AttemptId& id, std::int64_t offset, std::string_view bytes);

  FileSystem& files_;
  Path root_;
  bool root_is_there_ = false;  ///< and durable
  std::map<domain::AttemptId, Known> known_;
};

}  // namespace tyllm::server::store
