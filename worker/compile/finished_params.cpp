// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/finished_params.h"

#include <filesystem>

namespace tyllm::compile {

namespace fs = std::filesystem;

Path FinishedParams::DigestFile(const Path& file) const {
  Path path = root_ / kFolder / file;
  return path += ".sha256";
}

Result<std::optional<artifact::FileEntry>> FinishedParams::Find(const Path& file,
                                                                std::uint64_t bytes) {
  std::error_code error;
  const Path path = root_ / file;
  if (!fs::exists(fs::symlink_status(path, error))) {
    return std::optional<artifact::FileEntry>();
  }
  std::set<std::string> expected = expected_[file.generic_string()];
  if (const Path digest = DigestFile(file); fs::is_regular_file(digest, error)) {
    TYLLM_ASSIGN(std::string remembered, files_.Read(digest));
    expected.insert(std::move(remembered));
  }
  if (expected.size() == 1 && fs::file_size(path, error) == bytes && !error) {
    TYLLM_ASSIGN(artifact::FileEntry found, artifact::DescribeFile(root_, file));
    if (found.sha256 == *expected.begin()) {
      return std::optional<artifact::FileEntry>(std::move(found));
    }
  }
  TYLLM_TRY(files_.RemoveAll(path));
  return std::optional<artifact::FileEntry>();
}

Status FinishedParams::Keep(const artifact::FileEntry& file) {
  const Path path = DigestFile(file.path);
  TYLLM_TRY(files_.CreateDirectories(path.parent_path()));
  return WriteFileAtomically(files_, path, file.sha256);
}

}  // namespace tyllm::compile
