// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "common/base/file_system.h"
#include "server/store/database.h"

struct sqlite3_backup;

namespace tyllm::server::store {

/// A copy of a database while it is in use, a few pages at a time, with SQLite's backup interface:
/// because the steps are taken on the very connection that writes, what is written between them
/// goes into both. Not within a transaction. Going away before it is complete removes the copy.
class DatabaseCopy {
 public:
  /// `to` must not be there; both on the source's thread.
  static Result<std::unique_ptr<DatabaseCopy>> Begin(Database& source, const Path& to);
  DatabaseCopy(const DatabaseCopy&) = delete;
  DatabaseCopy& operator=(const DatabaseCopy&) = delete;
  ~DatabaseCopy();

  /// True when the copy is complete and on the disk.
  Result<bool> Step(int pages);

 private:
  DatabaseCopy(Path to, UniqueHandle<ConnectionTraits> target, sqlite3_backup* backup)
      : to_(std::move(to)), target_(std::move(target)), backup_(backup) {}

  Status Finish();

  const Path to_;
  UniqueHandle<ConnectionTraits> target_;
  sqlite3_backup* backup_;
  bool complete_ = false;
};

/// The whole of a database that nobody has open, at once.
Status CopyDatabaseFile(const Path& from, const Path& to);

}  // namespace tyllm::server::store
