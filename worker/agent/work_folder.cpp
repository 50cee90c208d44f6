// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/work_folder.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>

#include "common/base/pause.h"

namespace tyllm::agent {

namespace {

constexpr int kTries = 40;
constexpr Milliseconds kPause{50};

// A job whose worker was killed dies a moment later, and may write until then.
Status RemoveLeftovers(const Path& attempts) {
  Status removed = LocalFileSystem().RemoveAll(attempts);
  for (int i = 1; i < kTries && !removed.ok(); ++i) {
    PauseFor(kPause, {});
    removed = LocalFileSystem().RemoveAll(attempts);
  }
  return removed;
}

}  // namespace

Result<WorkFolder> WorkFolder::Open(Path path) {
  FileSystem& files = LocalFileSystem();
  TYLLM_TRY(files.CreateDirectories(path));
  const Path name = path / "lock";
  Fd lock(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!lock) {
    return FromErrno(errno, "opening " + name.string());
  }
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return FailedPrecondition("folder " + path.string() +
                              " is used by another worker; give each worker a folder of its own");
  }
  WorkFolder folder(std::move(path), std::move(lock));
  TYLLM_TRY(RemoveLeftovers(folder.attempts()));
  TYLLM_TRY(files.CreateDirectories(folder.attempts()));
  return folder;
}

}  // namespace tyllm::agent
