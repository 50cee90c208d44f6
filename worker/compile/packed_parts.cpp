// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/packed_parts.h"

#include "common/format/json.h"

namespace tyllm::compile {

/// What a record says.
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

Path PackedParts::RecordOf(const Path& file) const {
  Path path = folder_ / file;
  return path += ".part";
}

Result<Path> PackedParts::PlaceOf(const Path& file) const {
  Path path = folder_ / file;
  TYLLM_TRY(files_.CreateDirectories(path.parent_path()));
  return path;
}

std::optional<artifact::WrittenPart> PackedParts::Find(const Path& file,
                                                       const std::string& key) const {
  // One that cannot be read is as good as none: the file is written anew.
  const Result<format::Json> json = format::ReadJsonFile(RecordOf(file));
  if (!json.ok()) {
    return std::nullopt;
  }
  const Result<PartRecord> record = format::FromJson<PartRecord>(*json, "part");
  if (!record.ok() || record->key != key) {
    return std::nullopt;
  }
  return artifact::WrittenPart{record->tensors, record->content};
}

Status PackedParts::Keep(const Path& file, const std::string& key,
                         const artifact::WrittenPart& part) const {
  const PartRecord record{key, part.tensors, part.content};
  return WriteFileAtomically(files_, RecordOf(file), format::CompactJson(format::ToJson(record)));
}

}  // namespace tyllm::compile
