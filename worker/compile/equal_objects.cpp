// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/equal_objects.h"

#include <sys/stat.h>

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <utility>

namespace tyllm::compile {
namespace {

namespace fs = std::filesystem;

bool IsProgram(const Path& path) {
  return path.extension() == ".so" || path.extension() == ".cpp";
}

/// `other` becomes another name of `first`, without a moment in which it has none.
Status Link(FileSystem& files, const Path& first, const Path& other) {
  std::error_code error;
  if (fs::equivalent(first, other, error)) {
    return OkStatus();
  }
  Path link = other;
  link += ".tmp";
  TYLLM_TRY(files.RemoveAll(link));
  fs::create_hard_link(first, link, error);
  return error ? OkStatus() : files.Rename(link, other);
}

}  // namespace

Status LinkEqualObjects(FileSystem& files, const Path& root,
                        std::span<const artifact::FileEntry> entries) {
  std::map<std::string, Path> first;  // by digest
  for (const artifact::FileEntry& entry : entries) {
    if (!IsProgram(entry.path)) {
      continue;
    }
    const auto [found, is_new] = first.emplace(entry.sha256, root / entry.path);
    if (!is_new) {
      TYLLM_TRY(Link(files, found->second, root / entry.path));
    }
  }
  return OkStatus();
}

std::uint64_t BytesOnDisk(const Path& root, std::span<const artifact::FileEntry> entries) {
  std::set<std::pair<dev_t, ino_t>> seen;
  std::uint64_t bytes = 0;
  for (const artifact::FileEntry& entry : entries) {
    struct stat found{};
    if (::stat((root / entry.path).c_str(), &found) == 0 &&
        seen.emplace(found.st_dev, found.st_ino).second) {
      bytes += entry.bytes;
    }
  }
  return bytes;
}

}  // namespace tyllm::compile
