// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/digest.h"
#include "common/base/file_system.h"

namespace tyllm::format {

/// A file of a tree. `path` is relative, with '/', without '.', '..' or empty parts, and at most as
/// long as Linux takes.
struct TreeEntry {
  std::string path;
  BlobId blob;
  bool executable = false;

  bool operator==(const TreeEntry&) const = default;
};

/// A folder as content: its regular files, sorted by path. The canonical text
/// (docs/formats/tree.md) is itself a blob, and that blob's id names the tree.
struct Tree {
  std::vector<TreeEntry> entries;

  /// Bytes of all files.
  std::uint64_t bytes() const;
  const TreeEntry* Find(std::string_view path) const;
  bool operator==(const Tree&) const = default;
};

using TreeId = BlobId;

/// One line an entry: "<sha256> <size> <x|-> <path>\n" after a first line "tyllm-tree-v1\n".
std::string ToText(const Tree& tree);
/// Refuses anything that ToText would not have written (unsorted, doubled, unsafe, too long paths,
/// paths that are also folders of others). Takes time in proportion to the text.
Result<Tree> ParseTree(std::string_view text);
TreeId IdOf(const Tree& tree);

/// Digests every regular file under `directory` (or the one file that it is). Symbolic links to
/// files are followed, as the hub's caches are made of them; anything else that is no file or
/// folder is an error naming it. `progress` gets (bytes done, bytes in all). kCancelled within a
/// moment of a stop request.
Result<Tree> ScanTree(const Path& directory,
                      const std::function<void(std::uint64_t, std::uint64_t)>& progress = {},
                      const std::stop_token& stop = {});

/// As ScanTree, of these files alone, whose paths are relative to `root` and may come more than
/// once. kInvalidArgument for a path that leaves it.
Result<Tree> ScanFiles(const Path& root, const std::vector<Path>& files,
                       const std::function<void(std::uint64_t, std::uint64_t)>& progress = {},
                       const std::stop_token& stop = {});

}  // namespace tyllm::format
