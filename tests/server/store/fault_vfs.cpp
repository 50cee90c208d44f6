// SPDX-License-Identifier: Apache-2.0
#include "tests/server/store/fault_vfs.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include "common/base/status.h"
#include "server/store/page_cache.h"

namespace tyllm::server::store {

namespace {

constexpr int kBlock = 4096;

}  // namespace

/// SQLite's view of an open file, followed by what is ours.
struct FaultVfs::File {
  sqlite3_file base;  // first: SQLite knows only this
  FaultVfs* owner;
  sqlite3_file* real;
  std::string* path;
};

/// The functions that SQLite calls.
struct FaultVfs::Calls {
  static File& Of(sqlite3_file* file) { return *reinterpret_cast<File*>(file); }  // NOLINT

  static FaultVfs& Of(sqlite3_vfs* vfs) { return *static_cast<FaultVfs*>(vfs->pAppData); }

  static sqlite3_vfs* Real(sqlite3_vfs* vfs) { return Of(vfs).real_; }

  static int Close(sqlite3_file* file) {
    File& ours = Of(file);
    const int code = ours.real->pMethods->xClose(ours.real);
    std::free(ours.real);
    delete ours.path;
    return code;
  }

  static int Read(sqlite3_file* file, void* to, int length, sqlite3_int64 offset) {
    return Of(file).real->pMethods->xRead(Of(file).real, to, length, offset);
  }

  static int Write(sqlite3_file* file, const void* from, int length, sqlite3_int64 offset) {
    File& ours = Of(file);
    const bool was_alive = !ours.owner->failed();
    const int code = ours.owner->Change();
    if (code != SQLITE_OK && !(was_alive && ours.owner->Tears())) {
      return code;
    }
    const int written = code == SQLITE_OK ? length : length / 2;
    for (int at = 0; at < written; at += kBlock) {  // a disk may have written any of them
      const int size = std::min(kBlock, written - at);
      ours.owner->Remember(ours.real, *ours.path, offset + at, size,
                           std::string(static_cast<const char*>(from) + at, size));
    }
    const int result = ours.real->pMethods->xWrite(ours.real, from, written, offset);
    return code == SQLITE_OK ? result : code;
  }

  static int Truncate(sqlite3_file* file, sqlite3_int64 size) {
    File& ours = Of(file);
    if (const int code = ours.owner->Change(); code != SQLITE_OK) {
      return code;
    }
    sqlite3_int64 before = 0;
    ours.real->pMethods->xFileSize(ours.real, &before);
    ours.owner->Remember(ours.real, *ours.path, size, std::max<sqlite3_int64>(0, before - size),
                         "");
    return ours.real->pMethods->xTruncate(ours.real, size);
  }

  static int Sync(sqlite3_file* file, int /*flags*/) {
    File& ours = Of(file);
    if (const int code = ours.owner->Change(); code != SQLITE_OK) {
      return code;
    }
    ours.owner->unsynced_.erase(*ours.path);
    return SQLITE_OK;
  }

  static int FileSize(sqlite3_file* file, sqlite3_int64* size) {
    return Of(file).real->pMethods->xFileSize(Of(file).real, size);
  }

  static int Lock(sqlite3_file* file, int level) {
    return Of(file).real->pMethods->xLock(Of(file).real, level);
  }

  static int Unlock(sqlite3_file* file, int level) {
    return Of(file).real->pMethods->xUnlock(Of(file).real, level);
  }

  static int CheckReservedLock(sqlite3_file* file, int* held) {
    return Of(file).real->pMethods->xCheckReservedLock(Of(file).real, held);
  }

  static int FileControl(sqlite3_file* file, int operation, void* argument) {
    return Of(file).real->pMethods->xFileControl(Of(file).real, operation, argument);
  }

  static int SectorSize(sqlite3_file* file) {
    return Of(file).real->pMethods->xSectorSize(Of(file).real);
  }

  // Nothing is atomic or safe here.
  static int DeviceCharacteristics(sqlite3_file* /*file*/) { return 0; }

  static int Open(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags, int* out) {
    File& ours = Of(file);
    ours.base.pMethods = nullptr;
    sqlite3_vfs* const real = Real(vfs);
    ours.real =
        static_cast<sqlite3_file*>(std::calloc(1, static_cast<std::size_t>(real->szOsFile)));
    const int code = real->xOpen(real, path, ours.real, flags, out);
    if (code != SQLITE_OK) {
      std::free(ours.real);
      return code;
    }
    ours.owner = &Of(vfs);
    ours.path = new std::string(path == nullptr ? "" : path);
    ours.base.pMethods = &kMethods;
    return SQLITE_OK;
  }

  static int Delete(sqlite3_vfs* vfs, const char* path, int /*sync*/) {
    if (const int code = Of(vfs).Change(); code != SQLITE_OK) {
      return code;
    }
    Of(vfs).unsynced_.erase(path);
    return Real(vfs)->xDelete(Real(vfs), path, 0);
  }

  static int Access(sqlite3_vfs* vfs, const char* path, int flags, int* out) {
    return Real(vfs)->xAccess(Real(vfs), path, flags, out);
  }

  static int FullPathname(sqlite3_vfs* vfs, const char* path, int length, char* out) {
    return Real(vfs)->xFullPathname(Real(vfs), path, length, out);
  }

  // The index of the log, which connections share: made anew after a crash, so no fault matters.
  static int ShmMap(sqlite3_file* file, int page, int size, int extend, volatile void** to) {
    return Of(file).real->pMethods->xShmMap(Of(file).real, page, size, extend, to);
  }

  static int ShmLock(sqlite3_file* file, int offset, int count, int flags) {
    return Of(file).real->pMethods->xShmLock(Of(file).real, offset, count, flags);
  }

  static void ShmBarrier(sqlite3_file* file) {
    Of(file).real->pMethods->xShmBarrier(Of(file).real);
  }

  static int ShmUnmap(sqlite3_file* file, int remove) {
    return Of(file).real->pMethods->xShmUnmap(Of(file).real, remove);
  }

  // Version 2: without mapped reads.
  static constexpr sqlite3_io_methods kMethods = {2,
                                                  Close,
                                                  Read,
                                                  Write,
                                                  Truncate,
                                                  Sync,
                                                  FileSize,
                                                  Lock,
                                                  Unlock,
                                                  CheckReservedLock,
                                                  FileControl,
                                                  SectorSize,
                                                  DeviceCharacteristics,
                                                  ShmMap,
                                                  ShmLock,
                                                  ShmBarrier,
                                                  ShmUnmap,
                                                  nullptr,
                                                  nullptr};
};

FaultVfs::FaultVfs() {
  InstallPageCache();  // before SQLite is used
  real_ = sqlite3_vfs_find(nullptr);
  name_ = "fault" + std::to_string(reinterpret_cast<std::uintptr_t>(this));  // NOLINT
  vfs_ = *real_;
  vfs_.iVersion = 1;
  vfs_.szOsFile = sizeof(File);
  vfs_.pNext = nullptr;
  vfs_.zName = name_.c_str();
  vfs_.pAppData = this;
  vfs_.xOpen = Calls::Open;
  vfs_.xDelete = Calls::Delete;
  vfs_.xAccess = Calls::Access;
  vfs_.xFullPathname = Calls::FullPathname;
  TYLLM_CHECK(sqlite3_vfs_register(&vfs_, 0) == SQLITE_OK);
}

FaultVfs::~FaultVfs() {
  sqlite3_vfs_unregister(&vfs_);
}

bool FaultVfs::Tears() const {
  return fault_ == Fault::kCrash || fault_ == Fault::kShort || power_ != nullptr;
}

int FaultVfs::Change() {
  ++changes_;
  if (power_ != nullptr && !power_->Use()) {
    return SQLITE_IOERR_WRITE;
  }
  if (left_ < 0 || (left_ != std::numeric_limits<int>::max() && --left_ < 0)) {
    if (fault_ == Fault::kOnce) {
      left_ = std::numeric_limits<int>::max();
    }
    return fault_ == Fault::kFull ? SQLITE_FULL : SQLITE_IOERR_WRITE;
  }
  return SQLITE_OK;
}

void FaultVfs::Remember(sqlite3_file* file, const std::string& path, std::int64_t offset,
                        std::int64_t length, std::string written) {
  Undo undo{.offset = offset, .bytes = {}, .written = std::move(written)};
  sqlite3_int64 size = 0;
  file->pMethods->xFileSize(file, &size);
  undo.size = size;
  undo.bytes.resize(static_cast<std::size_t>(std::clamp<std::int64_t>(size - offset, 0, length)));
  if (!undo.bytes.empty()) {
    file->pMethods->xRead(file, undo.bytes.data(), static_cast<int>(undo.bytes.size()), offset);
  }
  unsynced_[path].push_back(std::move(undo));
}

void FaultVfs::LoseUnsynced(Leaves leaves, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto write = [](const std::string& path, std::int64_t offset, const std::string& bytes) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(offset);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  };
  for (auto& [path, changes] : unsynced_) {
    for (auto undo = changes.rbegin(); undo != changes.rend(); ++undo) {
      write(path, undo->offset, undo->bytes);
      std::filesystem::resize_file(path, static_cast<std::uintmax_t>(undo->size));
    }
    for (const Undo& change : changes) {
      if (leaves == Leaves::kSome && !change.written.empty() && random() % 2 == 0) {
        write(path, change.offset, change.written);
      }
    }
  }
  unsynced_.clear();
}

}  // namespace tyllm::server::store
