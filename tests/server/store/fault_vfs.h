// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "common/base/guarded.h"
#include "tests/support/power.h"

namespace tyllm::server::store {

/// A SQLite VFS over the machine's whose k-th change of a file (write, truncation, sync, removal)
/// fails. It syncs nothing and keeps what a power cut would take: the bytes that were written since
/// a file's last sync. Threads: any; changes are made one after the other. Databases on it are
/// closed before it goes away.
class FaultVfs {
 public:
  enum class Fault : std::uint8_t {
    kFull,   ///< no space, until Heal
    kError,  ///< an I/O error, until Heal
    kOnce,   ///< an I/O error, and then all is as if nothing had been
    kShort,  ///< half of the write and an error, until Heal
    kCrash,  ///< half of the write, and nothing works any more
  };

  FaultVfs();
  FaultVfs(const FaultVfs&) = delete;
  FaultVfs& operator=(const FaultVfs&) = delete;
  ~FaultVfs();

  const std::string& name() const { return name_; }

  /// The first `healthy` changes from now on succeed.
  void FailAfter(int healthy, Fault fault);
  /// The first `healthy` syncs from now on succeed; all other changes do, too.
  void FailSyncAfter(int healthy, Fault fault);
  void Heal();

  /// Changes asked for so far.
  int changes() const;
  bool failed() const;

  /// From now on it fails as in a crash when the power is gone.
  void ConnectTo(testing::Power& power);

  /// What of the changes since the last sync a power cut leaves.
  enum class Leaves : std::uint8_t {
    kNothing,
    kSome,  ///< every other one, at random: disks write in their own order
  };

  /// Takes back what was not synced.
  void LoseUnsynced(Leaves leaves = Leaves::kNothing, std::uint64_t seed = 0);

 private:
  struct File;
  struct Calls;
  friend struct Calls;

  /// What a change replaced.
  struct Undo {
    std::int64_t offset = 0;
    std::string bytes;
    std::int64_t size = 0;  ///< of the file before
    std::string written;    ///< in their place; nothing for a truncation
  };

  struct Disk {
    bool failed() const { return left < 0 || (power != nullptr && power->gone()); }

    /// SQLITE_OK, or how the change fails.
    int Change(bool is_sync);
    /// A write that fails leaves half of itself.
    bool Tears() const;
    /// Before `written` is written, or with `length` bytes cut off.
    void Remember(sqlite3_file* file, const std::string& path, std::int64_t offset,
                  std::int64_t length, std::string written);

    int left = std::numeric_limits<int>::max();
    bool only_syncs = false;
    int changes = 0;
    Fault fault = Fault::kError;
    testing::Power* power = nullptr;
    std::map<std::string, std::vector<Undo>> unsynced;
  };

  std::string name_;
  sqlite3_vfs* real_;
  sqlite3_vfs vfs_{};
  mutable Guarded<Disk> disk_;
};

}  // namespace tyllm::server::store
