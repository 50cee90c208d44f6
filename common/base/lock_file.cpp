// SPDX-License-Identifier: Apache-2.0
#include "common/base/lock_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace tyllm {

namespace {

/// Whether the file of this name is the one that is open.
bool HasName(const struct stat& open, const Path& path) {
  struct stat named{};
  return ::lstat(path.c_str(), &named) == 0 && open.st_dev == named.st_dev &&
         open.st_ino == named.st_ino;
}

}  // namespace

Result<std::optional<LockFile>> LockFile::Try(const Path& path) {
  while (true) {
    Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644));
    struct stat open{};
    if (!fd || ::fstat(fd.get(), &open) != 0) {
      return FromErrno(errno, "opening lock file " + path.string());
    }
    if (!S_ISREG(open.st_mode) || open.st_size != 0) {
      return AlreadyExists(path.string() +
                           " is something else than an empty file, expected a lock of this program "
                           "or nothing; rename or remove it");
    }
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      return std::optional<LockFile>();
    }
    if (HasName(open, path)) {
      return std::optional<LockFile>(LockFile(path, std::move(fd)));
    }
    // Whoever had it removed it between opening and locking: what was locked is nobody's lock.
  }
}

LockFile::~LockFile() {
  if (fd_) {
    ::unlink(path_.c_str());  // while it is locked, so that it is nobody else's
  }
}

}  // namespace tyllm
