// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/file_system.h"
#include "tests/support/power.h"

namespace tyllm::testing {

/// The local file system on a machine whose power fails: after `healthy` changes nothing works any
/// more, and LosePower takes back what was not synced: bytes after a file's last Sync, and names
/// that were made in a folder since its last SyncDirectory. What is removed stays removed.
class PowerCutFileSystem final : public FileSystem {
 public:
  explicit PowerCutFileSystem(int healthy) : own_(healthy), power_(own_) {}

  /// On the power of a machine that has other disks too.
  explicit PowerCutFileSystem(Power& power) : own_(0), power_(power) {}

  bool failed() const { return power_.gone(); }

  void LosePower();

  Result<std::unique_ptr<OutputFile>> Create(const Path& path) override;
  Result<std::unique_ptr<OutputFile>> CreateNew(const Path& path) override;
  Result<std::unique_ptr<OutputFile>> OpenForUpdate(const Path& path) override;

  Result<std::string> Read(const Path& path) override { return LocalFileSystem().Read(path); }

  Status Rename(const Path& from, const Path& to) override;
  Status RemoveAll(const Path& path) override;
  Status CreateDirectories(const Path& path) override;
  Status SyncDirectory(const Path& directory) override;

  Result<std::uint64_t> FreeBytes(const Path& path) override {
    return LocalFileSystem().FreeBytes(path);
  }

 private:
  class File;

  /// A name that is not durable yet.
  struct Name {
    Path path;
    Path from;  ///< of a rename; empty: it was made new
  };

  Status Change();
  Result<std::unique_ptr<OutputFile>> Open(const Path& path, bool truncate);

  Power own_;
  Power& power_;
  std::vector<Name> names_;
  std::map<Path, std::string> durable_;  ///< content of files at their last sync
};

}  // namespace tyllm::testing
