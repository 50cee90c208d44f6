// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

namespace tyllm::server::store {

/// A SQLite VFS over the machine's whose k-th change of a file fails. It syncs nothing and keeps
/// what a power cut would take: the bytes that were written since a file's last sync. One thread.
/// Databases on it are closed before it goes away.
class FaultVfs {
 public:
  enum class Fault : std::uint8_t {
    kFull,   ///< no space, until Heal
    kError,  ///< an I/O error, until Heal
    kCrash,  ///< half of the write, and nothing works any more
  };

  FaultVfs();
  FaultVfs(const FaultVfs&) = delete;
  FaultVfs& operator=(const FaultVfs&) = delete;
  ~FaultVfs();

  const std::string& name() const { return name_; }

  /// The first `healthy` changes from now on succeed.
  void FailAfter(int healthy, Fault fault) {
    left_ = healthy;
    fault_ = fault;
  }

  void Heal() { left_ = std::numeric_limits<int>::max(); }

  /// Changes asked for so far.
  int changes() const { return changes_; }

  bool failed() const { return left_ < 0; }

  /// Takes back what was not synced.
  void LoseUnsynced();

 private:
  struct File;
  struct Calls;
  friend struct Calls;

  /// What a change replaced.
  struct Undo {
    std::int64_t offset = 0;
    std::string bytes;
    std::int64_t size = 0;  ///< of the file before
  };

  /// SQLITE_OK, or how the change fails.
  int Change();
  void Remember(sqlite3_file* file, const std::string& path, std::int64_t offset,
                std::int64_t length);

  std::string name_;
  sqlite3_vfs* real_;
  sqlite3_vfs vfs_{};
  int left_ = std::numeric_limits<int>::max();
  int changes_ = 0;
  Fault fault_ = Fault::kError;
  std::map<std::string, std::vector<Undo>> unsynced_;
};

}  // namespace tyllm::server::store
