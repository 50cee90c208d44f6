// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/local_blobs.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <span>

#include "common/base/blob_path.h"
#include "common/base/handle.h"

namespace tyllm::agent {

namespace {

constexpr mode_t kWritable = S_IWUSR | S_IWGRP | S_IWOTH;
constexpr mode_t kPermissions = 07777;

Path With(Path path, const char* ending) {
  path += ending;
  return path;
}

bool IsOfSize(const struct stat& file, std::uint64_t size) {
  return S_ISREG(file.st_mode) && static_cast<std::uint64_t>(file.st_size) == size;
}

// A file of its own, whose blocks are the other's until one of both is written to.
bool Clone(const Path& from, const Path& to) {
  const Fd source(::open(from.c_str(), O_RDONLY | O_CLOEXEC));
  const Fd target(::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (source && target && ::ioctl(target.get(), FICLONE, source.get()) == 0 &&
      ::fsync(target.get()) == 0) {
    return true;
  }
  if (target) {
    (void)::unlink(to.c_str());
  }
  return false;
}

// Whoever wrote to one of the names would change a blob.
bool Link(const Path& from, const struct stat& file, const Path& to) {
  const mode_t mode = file.st_mode & kPermissions & ~kWritable;
  return ::chmod(from.c_str(), mode) == 0 && ::link(from.c_str(), to.c_str()) == 0;
}

bool IsSame(const struct stat& one, const struct stat& other) {
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

}  // namespace

bool LocalBlobs::Take(const format::TreeEntry& entry, const Path& directory) const {
  const Path target = directory / entry.path;
  const Path blob = CompleteBlobPath(folder_, entry.blob.sha256);
  struct stat source{};
  struct stat there{};
  if (::lstat(blob.c_str(), &source) != 0 || !IsOfSize(source, entry.blob.size)) {
    return false;
  }
  if (::lstat(target.c_str(), &there) == 0 && IsSame(there, source)) {
    return true;
  }
  const Path taken = With(directory, ".taken");  // no file of the tree has this name
  (void)::unlink(taken.c_str());
  // Whether a file may be executed belongs to the file, not to its name: one that may has its own.
  const bool took = Clone(blob, taken) || (!entry.executable && Link(blob, source, taken));
  return took && LocalFileSystem().Rename(taken, target).ok();
}

void LocalBlobs::Place(const format::Tree& tree, const Path& directory) const {
  if (!is_there()) {
    return;
  }
  for (const format::TreeEntry& entry : tree.entries) {
    const Path target = directory / entry.path;
    struct stat there{};
    const bool is_there = ::lstat(target.c_str(), &there) == 0 && IsOfSize(there, entry.blob.size);
    if (!is_there && LocalFileSystem().CreateDirectories(target.parent_path()).ok() &&
        Take(entry, directory)) {
      (void)LocalFileSystem().RemoveAll(With(target, ".part"));
    }
  }
}

void LocalBlobs::Share(const format::Tree& tree, const Path& directory) const {
  if (!is_there()) {
    return;
  }
  for (const format::TreeEntry& entry : tree.entries) {
    // A copy more is no harm.
    if (!entry.executable) {
      (void)Take(entry, directory);
    }
  }
}

std::int64_t LocalBlobs::OwnBytes(const format::Tree& tree, const Path& directory) const {
  std::uint64_t bytes = tree.bytes();
  for (const format::TreeEntry& entry :
       is_there() ? std::span(tree.entries) : std::span<const format::TreeEntry>()) {
    struct stat blob{};
    struct stat file{};
    if (::lstat(CompleteBlobPath(folder_, entry.blob.sha256).c_str(), &blob) == 0 &&
        ::lstat((directory / entry.path).c_str(), &file) == 0 && IsSame(blob, file)) {
      bytes -= entry.blob.size;
    }
  }
  return static_cast<std::int64_t>(bytes);
}

}  // namespace tyllm::agent
