// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/partial_tree.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "common/base/staging.h"

namespace tyllm::agent {

namespace {

namespace fs = std::filesystem;

constexpr int kLooks = 5;  // before a folder counts as too busy for now

}  // namespace

PartialTree::PartialTree(Path folder, Path snapshot)
    : folder_(std::move(folder)), snapshot_(std::move(snapshot)) {}

Result<PartialTree::Files> PartialTree::List() const {
  Files files;
  std::error_code error;
  fs::recursive_directory_iterator it(folder_, error);
  for (; !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    const std::string name = it->path().filename().string();
    struct stat found{};
    if (::lstat(it->path().c_str(), &found) != 0) {
      continue;  // renamed or removed a moment ago
    }
    if (S_ISDIR(found.st_mode) && name.starts_with('.')) {
      it.disable_recursion_pending();
    }
    if (S_ISREG(found.st_mode) && !IsUnfinishedName(name)) {
      files[it->path().lexically_relative(folder_).generic_string()] = {
          found.st_ino, static_cast<std::uint64_t>(found.st_size),
          found.st_mtim.tv_sec * 1'000'000'000LL + found.st_mtim.tv_nsec,
          (found.st_mode & S_IXUSR) != 0};
    }
  }
  // A folder that goes away under the iterator is a job that has ended or begun anew.
  return error == std::errc::no_such_file_or_directory ? Result<Files>(Files())
                                                       : Result<Files>(std::move(files));
}

Status PartialTree::Link(const Files& files) const {
  FileSystem& local = LocalFileSystem();
  TYLLM_TRY(local.RemoveAll(snapshot_));
  TYLLM_TRY(local.CreateDirectories(snapshot_));
  for (const auto& [path, file] : files) {
    TYLLM_TRY(local.CreateDirectories((snapshot_ / path).parent_path()));
    std::error_code error;
    fs::create_hard_link(folder_ / path, snapshot_ / path, error);
    if (error && error != std::errc::no_such_file_or_directory) {
      return FromErrno(error.value(), "linking " + (folder_ / path).string());
    }
  }
  return OkStatus();
}

Result<format::Tree> PartialTree::Digest(const Files& files) {
  format::Tree tree;
  std::map<std::string, std::pair<File, BlobId>> digests;
  for (const auto& [path, file] : files) {
    const auto known = digests_.find(path);
    if (known != digests_.end() && known->second.first == file) {
      digests[path] = known->second;
    } else {
      TYLLM_ASSIGN(const BlobId blob, DigestOfFile(snapshot_ / path));
      digests[path] = {file, blob};
    }
    tree.entries.push_back({path, digests[path].second, file.executable});
  }
  digests_ = std::move(digests);
  return tree;
}

bool PartialTree::IsEnding() const {
  std::error_code error;
  return fs::exists(Staging::KeyBeside(folder_), error);
}

Result<bool> PartialTree::IsAsTaken() const {
  TYLLM_ASSIGN(const Files files, List());
  return !files.empty() && files == taken_;
}

Result<std::optional<format::Tree>> PartialTree::Take() {
  for (int look = 0; look < kLooks; ++look) {
    TYLLM_ASSIGN(const Files files, List());
    if (files.empty() || files == taken_ || IsEnding()) {
      return std::optional<format::Tree>();
    }
    TYLLM_TRY(Link(files));
    // The same names, inodes and times before and after: one moment at which all were there.
    TYLLM_ASSIGN(const Files again, List());
    if (again == files) {
      TYLLM_ASSIGN(format::Tree tree, Digest(files));
      taken_ = files;
      return std::optional(std::move(tree));
    }
  }
  return std::optional<format::Tree>();
}

}  // namespace tyllm::agent
