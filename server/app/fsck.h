// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/file_system.h"
#include "common/base/result.h"

namespace tyllm::server::app {

struct FsckReport {
  std::vector<std::string> problems;
  std::int64_t trees = 0;
  std::int64_t blobs = 0;  ///< that trees name, each once
  std::uint64_t bytes = 0;

  /// Blobs that no job, result or unfinished work names; not known while the list of a tree's files
  /// that somebody names cannot be read.
  struct Unused {
    std::int64_t blobs = 0;
    std::uint64_t bytes = 0;
  };

  std::optional<Unused> unused;
};

/// Checks a data folder or a backup that no server runs on: the database, and that every blob that
/// it names is there with its size; `digest`: and has its bytes.
Result<FsckReport> Fsck(const Path& data, bool digest);

}  // namespace tyllm::server::app
