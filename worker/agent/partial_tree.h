// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "common/base/file_system.h"
#include "common/format/tree.h"

namespace tyllm::agent {

/// Looks at a folder that a running job fills, as one consistent tree. A file there is complete as
/// soon as it has its name, and is replaced only by a rename
/// (docs/formats/checkpoints-of-tasks.md); files of unfinished names (common/base/staging.h) and
/// everything in folders whose names start with '.' are left out. Used by one thread.
class PartialTree {
 public:
  /// `snapshot` is a folder of its own on the same file system: the files are linked there, so that
  /// they stay what they were while they are read.
  PartialTree(Path folder, Path snapshot);

  /// The tree of what is complete now; its files lie in `snapshot` until the next call. Nothing
  /// when there is nothing, or nothing has changed since the last call that gave a tree, or it
  /// changed all the time while it was looked at.
  Result<std::optional<format::Tree>> Take();

  /// Whether what is complete now is the tree that was given last.
  Result<bool> IsAsTaken() const;

  /// What was given last is not to count: the next call gives it again.
  void Forget() { taken_.clear(); }

  const Path& snapshot() const { return snapshot_; }

 private:
  struct File {
    ino_t inode = 0;
    std::uint64_t size = 0;
    std::int64_t changed_ns = 0;
    bool executable = false;

    bool operator==(const File&) const = default;
  };

  using Files = std::map<std::string, File>;  // in the order of trees

  Result<Files> List() const;
  /// Whether the job is about to name or remove the folder, whose key is not in it any more: nobody
  /// could go on with a snapshot of it.
  bool IsEnding() const;
  Status Link(const Files& files) const;
  Result<format::Tree> Digest(const Files& files);

  Path folder_;
  Path snapshot_;
  Files taken_;
  std::map<std::string, std::pair<File, BlobId>>
      digests_;  // by path; what has not changed is not read again
};

}  // namespace tyllm::agent
