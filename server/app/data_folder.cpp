// SPDX-License-Identifier: Apache-2.0
#include "server/app/data_folder.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>

namespace tyllm::server::app {

Result<DataFolder> DataFolder::Open(FileSystem& files, const Path& root) {
  TYLLM_TRY(files.CreateDirectories(root).Annotate("data folder"));
  const Path path = root / "lock";
  Fd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!lock) {
    return FromErrno(errno, "opening " + path.string());
  }
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      return FailedPrecondition("another tyllm-server is running on the data folder " +
                                root.string() + "; stop it, or give another --data");
    }
    return FromErrno(errno, "locking " + path.string());
  }
  return DataFolder(root, std::move(lock));
}

}  // namespace tyllm::server::app
