// SPDX-License-Identifier: Apache-2.0
#include "server/store/log_file_sync.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "common/base/handle.h"

namespace tyllm::server::store {

namespace {

/// No locks are held on a log, so that closing a handle of it gives up nobody's.
class LogFileSync final : public LogSync {
 public:
  LogFileSync(std::string path, std::shared_ptr<std::atomic<bool>> lost)
      : path_(std::move(path)), lost_(std::move(lost)) {}

  LogFileSync(const LogFileSync&) = delete;
  LogFileSync& operator=(const LogFileSync&) = delete;

  ~LogFileSync() override {
    if (file() != nullptr && file()->pMethods != nullptr) {
      file()->pMethods->xClose(file());
    }
  }

  // As one who may create it: SQLite then makes the name durable with the first sync.
  Status Open(const std::string& vfs) {
    sqlite3_vfs* const found = sqlite3_vfs_find(vfs.empty() ? nullptr : vfs.c_str());
    if (found == nullptr) {
      return Internal("there is no SQLite VFS '" + vfs + "'");
    }
    const auto size = static_cast<std::size_t>(found->szOsFile);
    memory_.resize(size / sizeof(std::max_align_t) + 1);
    const int code =
        found->xOpen(found, path_.c_str(), file(),
                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_WAL, nullptr);
    return code == SQLITE_OK ? OkStatus() : Failed("opening", code);
  }

  Status Sync() override {
    const int code = file()->pMethods->xSync(file(), SQLITE_SYNC_NORMAL);
    if (code == SQLITE_OK) {
      return OkStatus();
    }
    *lost_ = true;
    return Failed("syncing", code);
  }

 private:
  Status Failed(const std::string& what, int code) const {
    return Unavailable(what + " the database's log " + path_ + ": " + sqlite3_errstr(code) +
                       "; check the disk, then restart the server");
  }

  sqlite3_file* file() {
    return memory_.empty() ? nullptr : reinterpret_cast<sqlite3_file*>(memory_.data());  // NOLINT
  }

  const std::string path_;
  const std::shared_ptr<std::atomic<bool>> lost_;
  std::vector<std::max_align_t> memory_;  ///< of the VFS's file
};

// Zeros from there to there, on the disk.
bool WriteZeros(int file, std::int64_t from, std::int64_t to) {
  const std::vector<char> zeros(std::size_t{1} << 20);
  while (from < to) {
    const auto most = std::min(to - from, static_cast<std::int64_t>(zeros.size()));
    const ssize_t written = ::pwrite(file, zeros.data(), static_cast<std::size_t>(most), from);
    if (written <= 0) {
      return false;
    }
    from += written;
  }
  return ::fdatasync(file) == 0;
}

}  // namespace

void LengthenLog(const std::string& log, std::int64_t bytes) {
  const Fd file(::open(log.c_str(), O_RDWR | O_CLOEXEC));
  struct stat found{};
  if (!file || ::fstat(file.get(), &found) != 0 || found.st_size >= bytes) {
    return;
  }
  if (!WriteZeros(file.get(), found.st_size, bytes)) {
    static_cast<void>(::ftruncate(file.get(), found.st_size));  // longer does no harm either
  }
}

Result<std::unique_ptr<LogSync>> OpenLogFileSync(const std::string& log, const std::string& vfs,
                                                 std::shared_ptr<std::atomic<bool>> lost) {
  auto sync = std::make_unique<LogFileSync>(log, std::move(lost));
  TYLLM_TRY(sync->Open(vfs));
  return std::unique_ptr<LogSync>(std::move(sync));
}

}  // namespace tyllm::server::store
