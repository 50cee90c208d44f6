// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sqlite3.h>

#include <memory>
#include <string>

#include "common/base/result.h"

namespace tyllm::server::store {

/// A SQLite VFS over another that writes a transaction's frames to the write-ahead log in one call:
/// SQLite makes two of each page. Frames wait until the one that ends their transaction, so what
/// other connections can learn of is in the file before; and until the log is read, synced or
/// anything else is done with it. A sync syncs what was written before it, as ever. Files other
/// than logs are the other VFS's own. Connections that use it are closed before it goes away.
class GatheredLog {
 public:
  /// Over the VFS of that name; empty: the machine's.
  static Result<std::unique_ptr<GatheredLog>> Make(const std::string& over);
  GatheredLog(const GatheredLog&) = delete;
  GatheredLog& operator=(const GatheredLog&) = delete;
  ~GatheredLog();

  /// For sqlite3_open_v2.
  const std::string& name() const { return name_; }

 private:
  struct Calls;
  explicit GatheredLog(sqlite3_vfs* over);

  sqlite3_vfs* const over_;
  const std::string name_;
  sqlite3_vfs vfs_{};
};

}  // namespace tyllm::server::store
