// SPDX-License-Identifier: Apache-2.0
#include "server/store/gathered_log.h"

#include <algorithm>
#include <cstdint>
#include <new>
#include <utility>
#include <vector>

namespace tyllm::server::store {

namespace {

/// Of a frame: its header has this size, and how large the database is in bytes 4 to 7 if the frame
/// ends a transaction, else 0 (https://www.sqlite.org/fileformat2.html#walformat).
constexpr int kFrameHeader = 24;
constexpr int kSizeFrom = 4;
constexpr int kSizeTo = 8;

/// SQLite's VFS for Unix takes less than 128 KiB at a time: more is written in pieces.
constexpr std::int64_t kMostAtOnce = 124 << 10;

/// A log: SQLite's view of it, then what is ours, then the file of the VFS below.
struct Log {
  sqlite3_file base;  // first: SQLite knows only this
  sqlite3_file* file;
  std::vector<char> gathered;
  std::int64_t offset;  ///< of what is gathered
  std::int64_t end;     ///< of what was written last, or is gathered
  bool header_was_last;
  bool ends_transaction;  ///< the frame of the last header

  static Log& Of(sqlite3_file* file) { return *reinterpret_cast<Log*>(file); }  // NOLINT

  /// What could not be written is given up: its transaction fails, and its place is written anew.
  int Flush() {
    if (gathered.empty()) {
      return SQLITE_OK;
    }
    const int code =
        file->pMethods->xWrite(file, gathered.data(), static_cast<int>(gathered.size()), offset);
    gathered.clear();
    return code;
  }

  int Append(const char* from, int length, std::int64_t at) {
    const auto size = static_cast<std::int64_t>(gathered.size());
    if (size == 0 || at != offset + size || size + length > kMostAtOnce) {
      if (const int code = Flush(); code != SQLITE_OK) {
        return code;
      }
      offset = at;
    }
    gathered.insert(gathered.end(), from, from + length);
    return SQLITE_OK;
  }
};

/// What SQLite calls of a log. Everything but writing sees the file as if nothing were gathered.
struct LogCalls {
  static int Close(sqlite3_file* file) {
    Log& log = Log::Of(file);
    const int flushed = log.Flush();
    const int closed = log.file->pMethods->xClose(log.file);
    log.~Log();
    return flushed == SQLITE_OK ? closed : flushed;
  }

  // What waits is a frame behind what was written last, and its transaction goes on. All else is
  // written at once: SQLite corrects checksums of frames that are there (those that a transaction
  // changed twice) after the transaction's last frame, and nothing need follow.
  static int Write(sqlite3_file* file, const void* from, int length, sqlite3_int64 offset) {
    Log& log = Log::Of(file);
    const char* const bytes = static_cast<const char*>(from);
    const bool is_header = length == kFrameHeader;
    const bool is_page_of_header = std::exchange(log.header_was_last, is_header) && !is_header;
    if (is_header) {
      log.ends_transaction =
          std::any_of(bytes + kSizeFrom, bytes + kSizeTo, [](char byte) { return byte != 0; });
    }
    if (std::exchange(log.end, offset + length) != offset) {
      const int code = log.Flush();
      return code == SQLITE_OK ? log.file->pMethods->xWrite(log.file, from, length, offset) : code;
    }
    if (const int code = log.Append(bytes, length, offset); code != SQLITE_OK) {
      return code;
    }
    const bool waits = is_header || (is_page_of_header && !log.ends_transaction);
    return waits ? SQLITE_OK : log.Flush();
  }

  template <auto kMethod, typename... Arguments>
  static int Flushed(sqlite3_file* file, Arguments... arguments) {
    Log& log = Log::Of(file);
    const int code = log.Flush();
    return code == SQLITE_OK ? (log.file->pMethods->*kMethod)(log.file, arguments...) : code;
  }

  static int SectorSize(sqlite3_file* file) {
    return Log::Of(file).file->pMethods->xSectorSize(Log::Of(file).file);
  }

  static int DeviceCharacteristics(sqlite3_file* file) {
    return Log::Of(file).file->pMethods->xDeviceCharacteristics(Log::Of(file).file);
  }

  static constexpr sqlite3_io_methods kMethods = {
      1,
      Close,
      Flushed<&sqlite3_io_methods::xRead, void*, int, sqlite3_int64>,
      Write,
      Flushed<&sqlite3_io_methods::xTruncate, sqlite3_int64>,
      Flushed<&sqlite3_io_methods::xSync, int>,
      Flushed<&sqlite3_io_methods::xFileSize, sqlite3_int64*>,
      Flushed<&sqlite3_io_methods::xLock, int>,
      Flushed<&sqlite3_io_methods::xUnlock, int>,
      Flushed<&sqlite3_io_methods::xCheckReservedLock, int*>,
      Flushed<&sqlite3_io_methods::xFileControl, int, void*>,
      SectorSize,
      DeviceCharacteristics,
      nullptr,
      nullptr,
      nullptr,
      nullptr,
      nullptr,
      nullptr};
};

int OpenLog(sqlite3_vfs* over, const char* path, sqlite3_file* file, int flags, int* out) {
  auto* const below = reinterpret_cast<sqlite3_file*>(reinterpret_cast<Log*>(file) + 1);  // NOLINT
  const int code = over->xOpen(over, path, below, flags, out);
  file->pMethods = nullptr;
  if (code == SQLITE_OK) {
    new (file) Log{.base = {&LogCalls::kMethods},
                   .file = below,
                   .gathered = {},
                   .offset = 0,
                   .end = -1,
                   .header_was_last = false,
                   .ends_transaction = false};
  }
  return code;
}

}  // namespace

/// What SQLite calls of the VFS.
struct GatheredLog::Calls {
  static sqlite3_vfs* Over(sqlite3_vfs* vfs) {
    return static_cast<GatheredLog*>(vfs->pAppData)->over_;
  }

  static int Open(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags, int* out) {
    return (flags & SQLITE_OPEN_WAL) != 0 ? OpenLog(Over(vfs), path, file, flags, out)
                                          : Over(vfs)->xOpen(Over(vfs), path, file, flags, out);
  }

  template <auto kMethod, typename... Arguments>
  static int Pass(sqlite3_vfs* vfs, Arguments... arguments) {
    return (Over(vfs)->*kMethod)(Over(vfs), arguments...);
  }
};

Result<std::unique_ptr<GatheredLog>> GatheredLog::Make(const std::string& over) {
  sqlite3_vfs* const found = sqlite3_vfs_find(over.empty() ? nullptr : over.c_str());
  if (found == nullptr) {
    return Internal("there is no SQLite VFS '" + over + "'");
  }
  std::unique_ptr<GatheredLog> made(new GatheredLog(found));
  if (sqlite3_vfs_register(&made->vfs_, 0) != SQLITE_OK) {
    return ResourceExhausted("out of memory");
  }
  return made;
}

GatheredLog::GatheredLog(sqlite3_vfs* over)
    : over_(over),
      name_("gathered" + std::to_string(reinterpret_cast<std::uintptr_t>(this))),  // NOLINT
      vfs_(*over) {
  vfs_.iVersion = 1;
  vfs_.szOsFile = static_cast<int>(sizeof(Log)) + over->szOsFile;
  vfs_.pNext = nullptr;
  vfs_.zName = name_.c_str();
  vfs_.pAppData = this;
  vfs_.xOpen = Calls::Open;
  vfs_.xDelete = Calls::Pass<&sqlite3_vfs::xDelete, const char*, int>;
  vfs_.xAccess = Calls::Pass<&sqlite3_vfs::xAccess, const char*, int, int*>;
  vfs_.xFullPathname = Calls::Pass<&sqlite3_vfs::xFullPathname, const char*, int, char*>;
}

GatheredLog::~GatheredLog() {
  sqlite3_vfs_unregister(&vfs_);
}

}  // namespace tyllm::server::store
