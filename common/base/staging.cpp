// SPDX-License-Identifier: Apache-2.0
#include "common/base/staging.h"

#include <filesystem>
#include <system_error>
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

Path Staging::scratch() const {
  return path_ / kScratch;
}

Result<Staging> Staging::Open(FileSystem& files, const Path& final_path, const std::string& key) {
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
  const Path key_file = staging.path() / kKeyFile;
  const bool has_key = fs::is_regular_file(key_file, error);
  if (has_key) {
    TYLLM_ASSIGN(const std::string found, files.Read(key_file));
    staging.resumed_ = found == key;
  }
  if (staging.resumed_) {
    TYLLM_TRY(RemoveUnfinished(files, partial));
  } else {
    TYLLM_TRY(files.RemoveAll(partial));
    TYLLM_TRY(files.CreateDirectories(partial));
    TYLLM_TRY(WriteFileAtomically(files, key_file, key));
  }
  TYLLM_TRY(files.CreateDirectories(staging.scratch()));
  return staging;
}

Status Staging::Commit() {
  std::error_code error;
  TYLLM_TRY(files_->RemoveAll(scratch()));
  TYLLM_TRY(files_->RemoveAll(path_ / kKeyFile));
  if (fs::is_directory(final_, error)) {
    TYLLM_TRY(files_->RemoveAll(final_));
  }
  TYLLM_TRY(files_->SyncDirectory(path_));
  TYLLM_TRY(files_->Rename(path_, final_));
  return files_->SyncDirectory(final_.has_parent_path() ? final_.parent_path() : Path("."));
}

void Staging::Discard() {
  (void)files_->RemoveAll(path_);  // what went wrong before is the error worth reporting
}

}  // namespace tyllm
