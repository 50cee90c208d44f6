// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <utility>

#include "common/base/file_system.h"
#include "common/format/tree.h"

namespace tyllm::agent {

/// The blob folder of a server on this machine, whose files need not be copied: a file system that
/// can gives a file of its own over the same blocks (FICLONE), another the same file a second name
/// (a hard link), which nobody may write to from then on. What neither can be done for is left to
/// the server. What a kill left half done is "<directory>.taken". Threads: any.
class LocalBlobs {
 public:
  /// `folder`: empty: there is none.
  explicit LocalBlobs(Path folder = {}) : folder_(std::move(folder)) {}

  bool is_there() const { return !folder_.empty(); }

  /// Gives files of `tree` that are not in `directory` what the blobs of their names hold.
  /// BlobTransfer::DownloadTree, which digests what it finds, is to look at them.
  void Place(const format::Tree& tree, const Path& directory) const;
  /// The files of `directory` are the tree's, and the server has all of it, verified: one of both
  /// copies goes.
  void Share(const format::Tree& tree, const Path& directory) const;
  /// Bytes of the tree's files in `directory` that are not a blob's file under another name: what
  /// would be free without them, and what is yet to come. Clones count, too; nobody can tell them.
  std::int64_t OwnBytes(const format::Tree& tree, const Path& directory) const;

 private:
  bool Take(const format::TreeEntry& entry, const Path& directory) const;

  Path folder_;
};

}  // namespace tyllm::agent
