// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/base/file_system.h"

namespace tyllm::compile {

/// Shared objects by what they were made of: <directory>/<first 2 digits>/<digest>.so, with the
/// object's own digest beside it. A damaged or half-written entry counts as absent, and so does
/// one that somebody removed: an object's time is that of its last use, by which a worker prunes
/// (worker/agent/object_files.h). Threads and processes: any; entries appear whole.
class ObjectCache {
 public:
  /// No folder: remembers nothing.
  ObjectCache(FileSystem& files, Path directory)
      : files_(files), directory_(std::move(directory)) {}

  std::optional<std::string> Find(const std::string& key) const;
  /// Bytes of an object that is there, which Find may still refuse; nothing is read or touched.
  std::optional<std::uint64_t> SizeOf(const std::string& key) const;
  /// A cache that cannot be written is no reason to fail: errors are dropped.
  void Store(const std::string& key, const std::string& object) const;

 private:
  Path PathOf(const std::string& key, const char* extension) const;

  FileSystem& files_;
  Path directory_;
};

}  // namespace tyllm::compile
