// SPDX-License-Identifier: Apache-2.0
#include "server/app/data_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <system_error>
#include <vector>

namespace tyllm::server::app {

namespace {

// With the names of all folders above it that are made.
Status MakeDurably(FileSystem& files, const Path& folder) {
  std::vector<Path> above;
  std::error_code ignored;
  for (Path made = folder; made.has_relative_path() && !std::filesystem::exists(made, ignored);
       made = made.parent_path()) {
    above.push_back(made.parent_path());
  }
  TYLLM_TRY(files.CreateDirectories(folder));
  for (const Path& one : above) {
    TYLLM_TRY(files.SyncDirectory(one));
  }
  return OkStatus();
}

// Whoever may search the folder could read the queue, and call through the socket without a
// certificate. One that was there may be shared with a group on purpose, or be somebody else's to
// guard: its members see what is there, though no contents, as the process's umask is 077.
void KeepOthersOut(const Path& root, bool made) {
  struct stat info{};
  if (::stat(root.c_str(), &info) == 0) {
    const mode_t rights = info.st_mode & 07777U;
    (void)::chmod(root.c_str(), rights & ~static_cast<mode_t>(made ? S_IRWXG | S_IRWXO : S_IRWXO));
  }
}

}  // namespace

Result<DataFolder> DataFolder::Open(FileSystem& files, const Path& root) {
  std::error_code ignored;
  const bool made = !std::filesystem::exists(root, ignored);
  TYLLM_TRY(MakeDurably(files, std::filesystem::absolute(root)).Annotate("data folder"));
  KeepOthersOut(root, made);
  const Path path = root / "lock";
  Fd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
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
