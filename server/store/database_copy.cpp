// SPDX-License-Identifier: Apache-2.0
#include "server/store/database_copy.h"

#include <sqlite3.h>

#include <filesystem>

namespace tyllm::server::store {

namespace {

namespace fs = std::filesystem;

constexpr int kAllPages = -1;

Status Failed(int code, const Path& to, sqlite3* connection) {
  const std::string text =
      "copying the queue to " + to.string() + ": " +
      (connection == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(connection));
  return (code & 0xff) == SQLITE_FULL ? ResourceExhausted(text + "; free some space on its disk")
                                      : Unavailable(text);
}

Result<UniqueHandle<ConnectionTraits>> OpenTarget(const Path& to) {
  std::error_code error;
  if (fs::exists(to, error)) {
    return AlreadyExists(to.string() + " is there already; give another name");
  }
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(
      to.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  UniqueHandle<ConnectionTraits> target(raw);
  if (code != SQLITE_OK) {
    return Failed(code, to, raw);
  }
  return target;
}

}  // namespace

Result<std::unique_ptr<DatabaseCopy>> DatabaseCopy::Begin(Database& source, const Path& to) {
  TYLLM_ASSIGN(UniqueHandle<ConnectionTraits> target, OpenTarget(to));
  sqlite3_backup* const backup =
      sqlite3_backup_init(target.get(), "main", source.connection(), "main");
  if (backup == nullptr) {
    return Failed(sqlite3_errcode(target.get()), to, target.get());
  }
  return std::unique_ptr<DatabaseCopy>(new DatabaseCopy(to, std::move(target), backup));
}

DatabaseCopy::~DatabaseCopy() {
  if (backup_ != nullptr) {
    sqlite3_backup_finish(backup_);
  }
  target_.Reset();
  if (!complete_) {
    std::error_code ignored;
    fs::remove(to_, ignored);
  }
}

Result<bool> DatabaseCopy::Step(int pages) {
  const int code = sqlite3_backup_step(backup_, pages);
  if (code == SQLITE_OK) {
    return false;
  }
  if (code != SQLITE_DONE) {
    return Failed(code, to_, target_.get());
  }
  TYLLM_TRY(Finish());
  return true;
}

Status DatabaseCopy::Finish() {
  const int code = sqlite3_backup_finish(std::exchange(backup_, nullptr));
  if (code != SQLITE_OK) {
    return Failed(code, to_, target_.get());
  }
  target_.Reset();
  TYLLM_ASSIGN(const auto file, LocalFileSystem().OpenForUpdate(to_));
  TYLLM_TRY(file->Sync());
  TYLLM_TRY(file->Close());
  TYLLM_TRY(LocalFileSystem().SyncDirectory(to_.parent_path()));
  complete_ = true;
  return OkStatus();
}

Status CopyDatabaseFile(const Path& from, const Path& to) {
  TYLLM_ASSIGN(const std::unique_ptr<Database> source, Database::Open(from.string(), {}));
  TYLLM_ASSIGN(const std::unique_ptr<DatabaseCopy> copy, DatabaseCopy::Begin(*source, to));
  return copy->Step(kAllPages).status();
}

}  // namespace tyllm::server::store
