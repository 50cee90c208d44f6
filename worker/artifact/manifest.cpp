// SPDX-License-Identifier: Apache-2.0
#include "worker/artifact/manifest.h"

#include <algorithm>
#include <filesystem>

#include "common/base/digest.h"

namespace tyllm::artifact {

namespace fs = std::filesystem;

Result<FileEntry> DescribeFile(const Path& root, const Path& path) {
  TYLLM_ASSIGN(const BlobId blob, DigestOfFile(root / path));
  return FileEntry{path.generic_string(), blob.size, blob.sha256.Hex()};
}

Result<std::vector<Path>> ListFiles(const Path& root, std::span<const Path> except) {
  std::vector<Path> files;
  std::error_code error;
  fs::recursive_directory_iterator it(root, error);
  for (; !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    std::error_code unreadable;
    if (!it->is_regular_file(unreadable)) {
      continue;
    }
    Path relative = it->path().lexically_relative(root);
    if (std::find(except.begin(), except.end(), relative) == except.end()) {
      files.push_back(std::move(relative));
    }
  }
  if (error) {
    return FromErrno(error.value(), "listing folder " + root.string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

Result<std::string> DigestOfTree(const Path& root) {
  TYLLM_ASSIGN(const std::vector<Path> files, ListFiles(root));
  Sha256Stream stream;
  for (const Path& path : files) {
    TYLLM_ASSIGN(const FileEntry entry, DescribeFile(root, path));
    stream.Update(entry.path + '\0' + std::to_string(entry.bytes) + '\0' + entry.sha256 + '\n');
  }
  return stream.Finish().Hex();
}

}  // namespace tyllm::artifact
