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

#include "common/base/real_path.h"

namespace tyllm {
namespace {

namespace fs = std::filesystem;

constexpr const char* kScratch = ".build";

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

/// Whether nothing would be lost if a folder got this name.
bool IsFree(const Path& target) {
  std::error_code error;
  return !fs::exists(fs::symlink_status(target, error)) ||
         (fs::is_directory(target, error) && fs::is_empty(target, error) && !error);
}

/// What renaming at the end would find out.
Status CheckPlace(const Path& target) {
  if (!IsFree(target)) {
    return AlreadyExists("output folder " + target.string() +
                         " exists and is not empty; choose another name or remove it first");
  }
  std::error_code error;
  if (fs::exists(target, error) && fs::equivalent(target, fs::current_path(error), error)) {
    return FailedPrecondition("output folder " + target.string() +
                              " is the current folder, expected one that can be replaced when the "
                              "work is done; give the name of a folder in it");
  }
  struct stat own{};
  struct stat outer{};
  if (::stat(target.c_str(), &own) == 0 && ::stat(target.parent_path().c_str(), &outer) == 0 &&
      (own.st_dev != outer.st_dev || own.st_ino == outer.st_ino)) {
    return FailedPrecondition("output folder " + target.string() +
                              " is where a file system is mounted, expected one that can be "
                              "replaced when the work is done; give the name of a folder in it");
  }
  return OkStatus();
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
  TYLLM_ASSIGN(const Path target, RealTarget(final_path));
  TYLLM_TRY(CheckPlace(target));
  Path partial = target;
  partial += ".partial";
  Staging staging(files, target, partial);
  TYLLM_TRY(staging.Find(key, unfinished));
  if (staging.resumed_ && unfinished == Unfinished::kKeep) {
    TYLLM_TRY(RemoveUnfinished(files, partial));
  } else {
    staging.resumed_ = false;
    TYLLM_TRY(ThrowAway(files, partial));
    staging.passing_ = unfinished == Unfinished::kNever;
    TYLLM_TRY(files.CreateDirectories(partial));
    TYLLM_TRY(WriteFileAtomically(files, partial / kKeyFile, key));
    Result<Fd> lock = LockKey(partial, partial / kKeyFile);
    if (!lock.ok()) {
      staging.passing_ = false;  // it is another's
      return lock.status();
    }
    staging.lock_ = *std::move(lock);
  }
  TYLLM_TRY(files.CreateDirectories(staging.scratch()));
  return staging;
}

Status Staging::Find(const std::string& key, Unfinished unfinished) {
  std::error_code error;
  const Path key_file = path_ / kKeyFile;
  if (fs::is_regular_file(key_file, error)) {
    TYLLM_ASSIGN(lock_, LockKey(path_, key_file));
    TYLLM_ASSIGN(const std::string found, files_->Read(key_file));
    resumed_ = found == key;
    if (unfinished == Unfinished::kNever && !resumed_) {
      return InTheWay("unfinished work of another command, which that one would go on with");
    }
    return OkStatus();
  }
  if (const Path beside = KeyBeside(path_); fs::is_regular_file(beside, error)) {
    TYLLM_ASSIGN(lock_, LockKey(path_, beside));
    return OkStatus();
  }
  return !IsForeign(path_) ? OkStatus()
                           : InTheWay("something and no " + std::string(kKeyFile) +
                                      ", expected unfinished work of this program or nothing");
}

Status Staging::InTheWay(const std::string& what) const {
  return AlreadyExists(path_.string() + " is in the way of " + final_.string() + ": it holds " +
                       what + "; rename or remove it, or choose another output folder");
}

Staging::Staging(Staging&& other) noexcept
    : files_(other.files_),
      final_(std::move(other.final_)),
      path_(std::move(other.path_)),
      resumed_(other.resumed_),
      passing_(std::exchange(other.passing_, false)),
      lock_(std::move(other.lock_)) {}

Staging::~Staging() {
  if (passing_) {
    Discard();
  }
}

Status Staging::Commit() {
  const Path parent = final_.parent_path();
  TYLLM_TRY(files_->RemoveAll(scratch()));
  TYLLM_TRY(files_->Rename(path_ / kKeyFile, KeyBeside(path_)));
  TYLLM_TRY(files_->SyncDirectory(parent));  // before the folder is known to have no key
  TYLLM_TRY(files_->SyncDirectory(path_));
  if (Status renamed = files_->Rename(path_, final_); !renamed.ok()) {  // replaces an empty folder
    return IsFree(final_) ? renamed : TakeBack();
  }
  passing_ = false;
  TYLLM_TRY(files_->RemoveAll(KeyBeside(path_)));
  return files_->SyncDirectory(parent);
}

Status Staging::TakeBack() {
  if (std::exchange(passing_, false)) {
    TYLLM_TRY(files_->RemoveAll(KeyBeside(path_)));
  } else {
    TYLLM_TRY(files_->Rename(KeyBeside(path_), path_ / kKeyFile));
  }
  return AlreadyExists("something came to the output folder " + final_.string() +
                       " while the work was done, expected it to stay empty; nothing of it was "
                       "touched, and all of the result is in " +
                       path_.string() + ": move one of them away");
}

void Staging::Discard() {
  passing_ = false;
  // What went wrong before is the error worth reporting.
  if (!ThrowAway(*files_, path_).ok()) {
    (void)files_->RemoveAll(path_);  // where nothing can be renamed
    (void)files_->RemoveAll(KeyBeside(path_));
  }
}

}  // namespace tyllm
