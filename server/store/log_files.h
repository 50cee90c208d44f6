// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/file_system.h"
#include "common/domain/worker_sync.h"

namespace tyllm::server::store {

/// Logs of attempts as files <root>/<task>/<attempt>.log. The file's size is the truth about which
/// bytes are there. Not thread-safe.
class LogFiles {
 public:
  LogFiles(FileSystem& files, Path root) : files_(files), root_(std::move(root)) {}

  /// Adds what is not there yet of `bytes` at `offset` and returns the size on the disk, synced. A
  /// gap is kOutOfRange and names the size.
  Result<std::int64_t> Append(const domain::AttemptId& id, std::int64_t offset,
                              std::string_view bytes);

  /// 0 for a log of which nothing came.
  Result<std::int64_t> Size(const domain::AttemptId& id) const;

  /// At most `limit` bytes from `offset`; empty beyond the end.
  Result<std::string> Read(const domain::AttemptId& id, std::int64_t offset,
                           std::int64_t limit) const;

 private:
  Path PathOf(const domain::AttemptId& id) const;

  FileSystem& files_;
  Path root_;
};

}  // namespace tyllm::server::store
