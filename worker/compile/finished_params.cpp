// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/finished_params.h"

#include <filesystem>

#include "common/format/json.h"

namespace tyllm::compile {

/// What a ".part" file says.
struct PartRecord {
  std::string key;
  std::uint64_t tensors = 0;
  BlobId content;
};

}  // namespace tyllm::compile

template <>
struct tyllm::format::Members<tyllm::compile::PartRecord> {
  using T = tyllm::compile::PartRecord;
  static constexpr auto kTable = std::tuple{
      Member{"key", &T::key, true},
      Member{"tensors", &T::tensors, true},
      Member{"content", &T::content, true},
  };
};

namespace tyllm::compile {

namespace fs = std::filesystem;

Path FinishedParams::DigestFile(const Path& file) const {
  Path path = root_ / kFolder / file;
  return path += ".sha256";
}

Path FinishedParams::PartFile(const Path& file) const {
  Path path = root_ / kFolder / file;
  return path += ".part";
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
  TYLLM_TRY(WriteFileAtomically(files_, path, file.sha256));
  return files_.RemoveAll(PartFile(file.path));
}

std::optional<artifact::WrittenPart> FinishedParams::FindPart(const Path& file,
                                                              const std::string& key) const {
  // One that cannot be read is as good as none: the file is written anew.
  const Result<format::Json> json = format::ReadJsonFile(PartFile(file));
  if (!json.ok()) {
    return std::nullopt;
  }
  const Result<PartRecord> record = format::FromJson<PartRecord>(*json, "part");
  if (!record.ok() || record->key != key) {
    return std::nullopt;
  }
  return artifact::WrittenPart{record->tensors, record->content};
}

Status FinishedParams::KeepPart(const Path& file, const std::string& key,
                                const artifact::WrittenPart& part) const {
  const Path path = PartFile(file);
  TYLLM_TRY(files_.CreateDirectories(path.parent_path()));
  const PartRecord record{key, part.tensors, part.content};
  return WriteFileAtomically(files_, path, format::CompactJson(format::ToJson(record)));
}

}  // namespace tyllm::compile
