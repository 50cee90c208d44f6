// SPDX-License-Identifier: Apache-2.0
#include "server/app/backup.h"

#include <system_error>

#include "common/base/clock.h"
#include "common/base/staging.h"
#include "common/base/version.h"
#include "common/format/json.h"
#include "server/app/copy_request.h"
#include "server/app/data_folder.h"
#include "server/core/last_backup.h"
#include "server/store/database_check.h"
#include "server/store/database_copy.h"

namespace tyllm::server::app {

namespace {

namespace fs = std::filesystem;

constexpr const char* kQueue = "queue.db";
constexpr const char* kNote = "backup.json";

/// A copy of the queue, somewhere beside it.
struct QueueFile {
  Path path;
  bool by_server = false;
};

Result<QueueFile> CopyOfQueue(const Path& data, const Path& to) {
  const auto folder = DataFolder::Open(LocalFileSystem(), data);
  if (folder.ok()) {
    Path copy = to / "queue.db.incoming";
    TYLLM_TRY(LocalFileSystem().RemoveAll(copy));
    TYLLM_TRY(store::CopyDatabaseFile(folder->queue(), copy));
    return QueueFile{copy, false};
  }
  if (folder.status().code() != StatusCode::kFailedPrecondition) {
    return folder.status();
  }
  TYLLM_ASSIGN(const Path copy, AskForCopy(data));
  return QueueFile{copy, true};
}

// Also from another file system.
Status MoveInto(const Path& from, const Path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (!error) {
    return LocalFileSystem().SyncDirectory(to.parent_path());
  }
  if (error != std::errc::cross_device_link) {
    return FromErrno(error.value(), "moving " + from.string() + " to " + to.string());
  }
  Path incoming = to;
  incoming += ".copied";
  fs::copy_file(from, incoming, fs::copy_options::overwrite_existing, error);
  if (error) {
    return FromErrno(error.value(), "copying " + from.string() + " to " + incoming.string());
  }
  TYLLM_ASSIGN(const auto file, LocalFileSystem().OpenForUpdate(incoming));
  TYLLM_TRY(file->Sync());
  TYLLM_TRY(file->Close());
  TYLLM_TRY(LocalFileSystem().Rename(incoming, to));
  TYLLM_TRY(LocalFileSystem().SyncDirectory(to.parent_path()));
  return LocalFileSystem().RemoveAll(from);
}

Status CopyBlobs(const Path& from, const Path& to, Copied& copied) {
  TYLLM_ASSIGN(const Copied more,
               CopyFiles(from / "blobs" / "complete", to / "blobs" / "complete"));
  copied.files += more.files;
  copied.bytes += more.bytes;
  return OkStatus();
}

Status WriteNote(const Path& to, std::int64_t unix_ms) {
  format::Json note = format::Json::object();
  note["unix_ms"] = unix_ms;
  note["version"] = std::string(Version());
  return WriteFileAtomically(LocalFileSystem(), to / kNote, format::PrettyJson(note));
}

bool IsEmptyOrAbsent(const Path& folder) {
  std::error_code error;
  return !fs::exists(folder, error) ||
         (fs::is_directory(folder, error) && fs::is_empty(folder, error));
}

}  // namespace

Result<BackupReport> Backup(const Path& data, const Path& to) {
  std::error_code error;
  if (!fs::exists(data / kQueue, error)) {
    return NotFound(data.string() + " has no queue.db; give the server's data folder as --data");
  }
  if (!IsEmptyOrAbsent(to) && !fs::exists(to / kNote, error)) {
    return AlreadyExists(to.string() +
                         " holds something that is not a backup; choose a folder of its own");
  }
  TYLLM_TRY(LocalFileSystem().CreateDirectories(to));
  if (!fs::exists(to / kNote, error)) {
    TYLLM_TRY(WriteNote(to, 0));  // the first is begun
  }
  BackupReport report;
  // What the queue names at the moment of its copy is copied before, or is too new to be removed.
  TYLLM_TRY(CopyBlobs(data, to, report.blobs));
  const std::int64_t has_all_before = SystemClock().UnixMillis();
  TYLLM_ASSIGN(const QueueFile queue, CopyOfQueue(data, to));
  report.while_serving = queue.by_server;
  Path incoming = to / kQueue;
  incoming += ".incoming";
  if (queue.by_server) {
    TYLLM_TRY(MoveInto(queue.path, incoming));  // soon: a later copy of the server removes it
  }
  TYLLM_TRY(CopyBlobs(data, to, report.blobs));
  TYLLM_ASSIGN(report.logs, CopyFiles(data / "logs", to / "logs"));
  TYLLM_TRY(MoveInto(incoming, to / kQueue));
  TYLLM_TRY(WriteNote(to, SystemClock().UnixMillis()));
  TYLLM_TRY(core::NoteBackup(LocalFileSystem(), data, has_all_before)
                .Annotate("the backup is complete, but the data folder could not be told"));
  return report;
}

Result<BackupReport> Restore(const Path& from, const Path& data) {
  std::error_code error;
  if (!fs::exists(from / kQueue, error) || !fs::exists(from / kNote, error)) {
    return NotFound(from.string() + " is no complete backup: it has no queue.db or no " + kNote);
  }
  if (!IsEmptyOrAbsent(data)) {
    return AlreadyExists(data.string() + " is not empty; restore into a new folder");
  }
  TYLLM_ASSIGN(Staging staged,
               Staging::Open(LocalFileSystem(), data, "restore", Staging::Unfinished::kNever));
  BackupReport report;
  TYLLM_TRY(CopyBlobs(from, staged.path(), report.blobs));
  TYLLM_ASSIGN(report.logs, CopyFiles(from / "logs", staged.path() / "logs"));
  TYLLM_TRY(store::CopyDatabaseFile(from / kQueue, staged.path() / kQueue));
  {
    TYLLM_ASSIGN(const auto database, store::Database::Open((staged.path() / kQueue).string(), {}));
    TYLLM_TRY(store::SkipIds(*database));
  }
  TYLLM_TRY(staged.Commit());
  return report;
}

}  // namespace tyllm::server::app
