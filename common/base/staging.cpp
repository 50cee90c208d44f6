// SPDX-License-Identifier: Apache-2.0
#include "common/base/staging.h"

#include <sys/stat.h>

#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "common/base/real_path.h"

namespace tyllm {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPartial = ".partial";
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

/// Whether nothing would be lost if a folder got this name.
bool IsFree(const Path& target) {
  std::error_code error;
  return !fs::exists(fs::symlink_status(target, error)) ||
         (fs::is_directory(target, error) && fs::is_empty(target, error) && !error);
}

/// What renaming at the end would find out.
Status CheckTarget(const Path& target) {
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

Path Beside(const Path& path, const char* what) {
  Path beside = path;
  beside += what;
  return beside;
}

/// Where work is while it is thrown away: what is left there by a kill is nobody's.
Path Discarded(const Path& partial) {
  return Beside(partial, ".discarded");
}

Path RecordsBeside(const Path& partial) {
  return Beside(partial, ".records");
}

bool Exists(const Path& path) {
  std::error_code error;
  return fs::exists(fs::symlink_status(path, error));
}

bool IsFile(const Path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

/// With its key last, which says whose it is; and what has no key unless there is something in it.
Status RemoveDiscarded(FileSystem& files, const Path& discarded) {
  std::error_code error;
  if (IsFile(discarded / Staging::kKeyFile)) {
    std::vector<Path> content;
    for (fs::directory_iterator it(discarded, error), end; !error && it != end;
         it.increment(error)) {
      if (it->path().filename() != Staging::kKeyFile) {
        content.push_back(it->path());
      }
    }
    for (const Path& path : content) {
      TYLLM_TRY(files.RemoveAll(path));
    }
    return files.RemoveAll(discarded);
  }
  return IsForeign(discarded) ? OkStatus() : files.RemoveAll(discarded);
}

/// That the folder which the result lies in can be read and synced, which is wanted again when all
/// work is done; and that it takes the names that are to come.
Status CheckParent(FileSystem& files, const Path& target, const Path& partial) {
  const Path parent = target.parent_path();
  std::error_code error;
  for (const Path& name : {Staging::KeyBeside(partial), Discarded(partial)}) {
    (void)fs::symlink_status(name, error);
    if (error == std::errc::filename_too_long) {
      return InvalidArgument("output folder " + target.string() +
                             " has too long a name for '.partial' and more to be added to it while "
                             "the work is done; choose a shorter one");
    }
  }
  TYLLM_TRY(files.CreateDirectories(parent));
  return files.SyncDirectory(parent).Annotate("output folder " + target.string() +
                                              " could not get its name when the work is done");
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
  return Beside(partial, kKeyFile);
}

Path Staging::scratch() const {
  return path_ / kScratch;
}

Status Staging::CheckPlace(const Path& final_path) {
  TYLLM_ASSIGN(const Path target, RealTarget(final_path));
  return CheckTarget(target);
}

Staging::Staging(FileSystem& files, Path final_path, Unfinished unfinished, const Path& records,
                 LockFile lock)
    : files_(&files),
      final_(std::move(final_path)),
      path_(Beside(final_, kPartial)),
      records_(records.empty() ? Path() : path_ / records),
      records_beside_(RecordsBeside(path_)),
      unfinished_(unfinished),
      lock_(std::move(lock)) {}

Result<Staging> Staging::Open(FileSystem& files, const Path& final_path, const std::string& key,
                              Unfinished unfinished, const Path& records) {
  TYLLM_ASSIGN(const Path target, RealTarget(final_path));
  TYLLM_TRY(CheckTarget(target));
  const Path partial = Beside(target, kPartial);
  TYLLM_TRY(CheckParent(files, target, partial));
  TYLLM_ASSIGN(std::optional<LockFile> lock, LockFile::Try(Beside(partial, ".lock")));
  if (!lock) {
    return BusyFolder(partial);
  }
  TYLLM_TRY(CheckTarget(target));  // another process may have been done a moment ago
  Staging staging(files, target, unfinished, records, *std::move(lock));
  TYLLM_TRY(staging.Find(key));
  if (staging.resumed_) {
    TYLLM_TRY(RemoveUnfinished(files, partial));
  } else {
    TYLLM_TRY(staging.Begin(key));
  }
  TYLLM_TRY(files.CreateDirectories(staging.scratch()));
  return staging;
}

Status Staging::Find(const std::string& key) {
  TYLLM_TRY(RemoveDiscarded(*files_, Discarded(path_)));
  if (!Exists(path_)) {
    return OkStatus();
  }
  const Path inside = path_ / kKeyFile;
  const Path key_file = IsFile(inside) ? inside : KeyBeside(path_);
  if (!IsFile(key_file)) {
    return !IsForeign(path_) ? OkStatus()
                             : InTheWay("something and no " + std::string(kKeyFile) +
                                        ", expected unfinished work of this program or nothing");
  }
  TYLLM_ASSIGN(const std::string found, files_->Read(key_file));
  if (found != key && unfinished_ == Unfinished::kNever) {
    return InTheWay("unfinished work of another command, which that one would go on with");
  }
  resumed_ = found == key && unfinished_ == Unfinished::kKeep;
  return PutBack();
}

Status Staging::Begin(const std::string& key) {
  TYLLM_TRY(ThrowAway());
  passing_ = unfinished_ == Unfinished::kNever;
  TYLLM_TRY(files_->CreateDirectories(path_));
  return WriteFileAtomically(*files_, path_ / kKeyFile, key);
}

Status Staging::InTheWay(const std::string& what) const {
  return AlreadyExists(path_.string() + " is in the way of " + final_.string() + ": it holds " +
                       what + "; rename or remove it, or choose another output folder");
}

Staging::Staging(Staging&& other) noexcept
    : files_(other.files_),
      final_(std::move(other.final_)),
      path_(std::move(other.path_)),
      records_(std::move(other.records_)),
      records_beside_(std::move(other.records_beside_)),
      unfinished_(other.unfinished_),
      resumed_(other.resumed_),
      passing_(std::exchange(other.passing_, false)),
      lock_(std::move(other.lock_)) {}

Staging::~Staging() {
  if (passing_) {
    Discard();
  }
}

Status Staging::Commit() {
  if (Status named = GiveName(); !named.ok()) {
    return TakeBack(named);
  }
  passing_ = false;
  TYLLM_TRY(files_->RemoveAll(records_beside_));
  TYLLM_TRY(files_->RemoveAll(KeyBeside(path_)));
  return files_->SyncDirectory(final_.parent_path())
      .Annotate(final_.string() + " is complete, but may not survive a loss of power");
}

Status Staging::GiveName() {
  TYLLM_TRY(files_->RemoveAll(scratch()));
  // First, so that nobody takes a snapshot of work without records (worker/agent/partial_tree.h).
  TYLLM_TRY(files_->Rename(path_ / kKeyFile, KeyBeside(path_)));
  if (!records_.empty() && Exists(records_)) {
    TYLLM_TRY(files_->RemoveAll(records_beside_));
    TYLLM_TRY(files_->Rename(records_, records_beside_));
  }
  // Before the folder is known to have no key.
  TYLLM_TRY(files_->SyncDirectory(final_.parent_path()));
  TYLLM_TRY(files_->SyncDirectory(path_));
  return files_->Rename(path_, final_);  // replaces an empty folder
}

Status Staging::PutBack() {
  if (!records_.empty() && Exists(records_beside_) && !Exists(records_)) {
    TYLLM_TRY(files_->Rename(records_beside_, records_));
  }
  if (IsFile(KeyBeside(path_)) && !IsFile(path_ / kKeyFile)) {
    return files_->Rename(KeyBeside(path_), path_ / kKeyFile);
  }
  return OkStatus();
}

Status Staging::TakeBack(const Status& why) {
  const bool free = IsFree(final_);
  if (free && passing_) {
    return why;  // it is soon made again
  }
  passing_ = false;
  std::string advice = "the same command goes on there";
  if (unfinished_ == Unfinished::kKeep) {
    (void)PutBack();  // else the next one does
  } else {            // by its key it would be thrown away
    (void)files_->RemoveAll(path_ / kKeyFile);
    (void)files_->RemoveAll(KeyBeside(path_));
    advice = "rename it to " + final_.string();
  }
  if (!free) {
    return AlreadyExists("something came to the output folder " + final_.string() +
                         " while the work was done, expected it to stay empty; nothing of it was "
                         "touched, and all of the result is in " +
                         path_.string() + ": move one of them away");
  }
  return {why.code(), why.message() + "; all of the result is in " + path_.string() +
                          ": once the reason is gone, " + advice};
}

Status Staging::ThrowAway() {
  if (Exists(path_)) {
    TYLLM_TRY(files_->Rename(path_, Discarded(path_)));
    TYLLM_TRY(RemoveDiscarded(*files_, Discarded(path_)));
  }
  TYLLM_TRY(files_->RemoveAll(records_beside_));
  return files_->RemoveAll(KeyBeside(path_));
}

void Staging::Discard() {
  passing_ = false;
  // What went wrong before is the error worth reporting.
  if (!ThrowAway().ok()) {
    (void)files_->RemoveAll(path_);  // where nothing can be renamed
    (void)files_->RemoveAll(records_beside_);
    (void)files_->RemoveAll(KeyBeside(path_));
  }
}

}  // namespace tyllm
