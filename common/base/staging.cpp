// SPDX-License-Identifier: Apache-2.0
#include "common/base/staging.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

namespace tyllm {
namespace {

namespace fs = std::filesystem;

constexpr const char* kScratch = ".build";

/// Without a slash at its end.
Path WithName(const Path& path) {
  Path target = path.lexically_normal();
  return target.has_filename() ? target : target.parent_path();
}

/// What a killed writer left would be taken for a part of the result.
Status RemoveUnfinished(FileSystem& files, const Path& folder) {
  std::vector<Path> unfinished;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    if (it->is_regular_file(error) && IsUnfinishedName(it->path().filename().string())) {
      unfinished.push_back(it->path());
    }
  }
  if (error) {
    return FromErrno(error.value(), "looking for unfinished files in " + folder.string());
  }
  for (const Path& path : unfinished) {
    TYLLM_TRY(files.RemoveAll(path));
  }
  return OkStatus();
}

/// Whether there is work in the folder that no key says anything of. What was killed before its key
/// was there left nothing, or a key without its name.
bool IsForeign(const Path& partial) {
  std::error_code error;
  if (!fs::exists(fs::symlink_status(partial, error))) {
    return false;
  }
  if (!fs::is_directory(partial, error)) {
    return true;
  }
  for (fs::directory_iterator it(partial, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with(Staging::kKeyFile) || !IsUnfinishedName(name)) {
      return true;
    }
  }
  return false;
}

Status BusyFolder(const Path& partial) {
  return FailedPrecondition(
      "another process is writing " + partial.string() +
      ", expected nobody to; wait until it is done, or choose another output folder");
}

/// Whether the file of this name is the one that is open.
bool IsSameFile(int fd, const Path& path) {
  struct stat open{};
  struct stat named{};
  return ::fstat(fd, &open) == 0 && ::stat(path.c_str(), &named) == 0 &&
         open.st_dev == named.st_dev && open.st_ino == named.st_ino;
}

/// An advisory lock on the key file, for as long as it is open: programs that are started meanwhile
/// do not get it. File systems that know no locks go without.
Result<Fd> LockKey(const Path& partial, const Path& key) {
  Fd fd(::open(key.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd) {
    return errno == ENOENT ? BusyFolder(partial) : FromErrno(errno, "opening " + key.string());
  }
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    return BusyFolder(partial);
  }
  if (!IsSameFile(fd.get(), key)) {  // somebody was there between
    return BusyFolder(partial);
  }
  return fd;
}

/// The folder with its key last.
Status ThrowAway(FileSystem& files, const Path& partial) {
  std::error_code error;
  const Path key = partial / Staging::kKeyFile;
  if (fs::is_regular_file(key, error)) {
    TYLLM_TRY(files.Rename(key, Staging::KeyBeside(partial)));
  }
  TYLLM_TRY(files.RemoveAll(partial));
  return files.RemoveAll(Staging::KeyBeside(partial));
}

}  // namespace

bool IsUnfinishedName(std::string_view name) {
  constexpr std::string_view kMark = ".tmp";
  const std::size_t at = name.rfind(kMark);
  if (at == std::string_view::npos) {
    return false;
  }
  const std::string_view rest = name.substr(at + kMark.size());
  return rest.empty() || (rest.front() == '.' && rest.size() > 1 &&
                          rest.find_first_not_of("0123456789", 1) == std::string_view::npos);
}

Path Staging::KeyBeside(const Path& partial) {
  Path beside = partial;
  beside += kKeyFile;
  return beside;
}

Path Staging::scratch() const {
  return path_ / kScratch;
}

Result<Staging> Staging::Open(FileSystem& files, const Path& final_path, const std::string& key,
                              Unfinished unfinished) {
  const Path target = WithName(final_path);
  std::error_code error;
  if (fs::exists(target, error) &&
      !(fs::is_directory(target, error) && fs::is_empty(target, error))) {
    return AlreadyExists("output folder " + target.string() +
                         " exists and is not empty; choose another name or remove it first");
  }
  Path partial = target;
  partial += ".partial";
  Staging staging(files, target, partial);
  TYLLM_TRY(staging.Find(key));
  if (staging.resumed_ && unfinished == Unfinished::kKeep) {
    TYLLM_TRY(RemoveUnfinished(files, partial));
  } else {
    staging.resumed_ = false;
    TYLLM_TRY(ThrowAway(files, partial));
    TYLLM_TRY(files.CreateDirectories(partial));
    TYLLM_TRY(WriteFileAtomically(files, partial / kKeyFile, key));
    TYLLM_ASSIGN(staging.lock_, LockKey(partial, partial / kKeyFile));
  }
  TYLLM_TRY(files.CreateDirectories(staging.scratch()));
  return staging;
}

Status Staging::Find(const std::string& key) {
  std::error_code error;
  const Path key_file = path_ / kKeyFile;
  if (fs::is_regular_file(key_file, error)) {
    TYLLM_ASSIGN(lock_, LockKey(path_, key_file));
    TYLLM_ASSIGN(const std::string found, files_->Read(key_file));
    resumed_ = found == key;
    return OkStatus();
  }
  if (const Path beside = KeyBeside(path_); fs::is_regular_file(beside, error)) {
    TYLLM_ASSIGN(lock_, LockKey(path_, beside));
    return OkStatus();
  }
  return !IsForeign(path_)
             ? OkStatus()
             : AlreadyExists(path_.string() + " is in the way of " + final_.string() +
                             ": it holds something and no " + kKeyFile +
                             ", expected unfinished work of this program or nothing; rename or "
                             "remove it, or choose another output folder");
}

Status Staging::Commit() {
  std::error_code error;
  const Path parent = final_.has_parent_path() ? final_.parent_path() : Path(".");
  TYLLM_TRY(files_->RemoveAll(scratch()));
  TYLLM_TRY(files_->Rename(path_ / kKeyFile, KeyBeside(path_)));
  TYLLM_TRY(files_->SyncDirectory(parent));  // before the folder is known to have no key
  if (fs::is_directory(final_, error)) {
    TYLLM_TRY(files_->RemoveAll(final_));
  }
  TYLLM_TRY(files_->SyncDirectory(path_));
  TYLLM_TRY(files_->Rename(path_, final_));
  TYLLM_TRY(files_->RemoveAll(KeyBeside(path_)));
  return files_->SyncDirectory(parent);
}

void Staging::Discard() {
  (void)ThrowAway(*files_, path_);  // what went wrong before is the error worth reporting
}

}  // namespace tyllm
