// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/work_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <string>

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

/// False: another process has it, and had it until now.
Result<bool> Take(int lock, Milliseconds patience, const std::stop_token& stop) {
  for (Milliseconds waited{0}; ::flock(lock, LOCK_EX | LOCK_NB) != 0; waited += kPause) {
    if (waited >= patience) {
      return false;
    }
    if (!PauseFor(kPause, stop)) {
      return Cancelled("the worker was stopped before it had its folder");
    }
  }
  return true;
}

// "process 123", for people.
std::string HolderOf(const Path& lock) {
  const auto text = LocalFileSystem().Read(lock);
  return text.ok() && !text->empty() ? " (process " + text->substr(0, text->find('\n')) + ")" : "";
}

Status SignLock(int lock, const Path& name) {
  const std::string pid = std::to_string(::getpid()) + "\n";
  const bool written = ::ftruncate(lock, 0) == 0 && ::pwrite(lock, pid.data(), pid.size(), 0) ==
                                                        static_cast<ssize_t>(pid.size());
  return written ? OkStatus() : FromErrno(errno, "writing " + name.string());
}

}  // namespace

Result<WorkFolder> WorkFolder::Open(Path path, Milliseconds patience, const std::stop_token& stop) {
  FileSystem& files = LocalFileSystem();
  TYLLM_TRY(files.CreateDirectories(path));
  const Path name = path / "lock";
  Fd lock(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!lock) {
    return FromErrno(errno, "opening " + name.string());
  }
  TYLLM_ASSIGN(const bool taken, Take(lock.get(), patience, stop));
  if (!taken) {
    return FailedPrecondition("folder " + path.string() + " is used by another worker" +
                              HolderOf(name) +
                              "; end that one if it is left over, or give each worker a folder of "
                              "its own");
  }
  TYLLM_TRY(SignLock(lock.get(), name));
  WorkFolder folder(std::move(path), std::move(lock));
  TYLLM_TRY(RemoveLeftovers(folder.attempts()));
  TYLLM_TRY(files.CreateDirectories(folder.attempts()));
  return folder;
}

}  // namespace tyllm::agent
