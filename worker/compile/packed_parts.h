// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "worker/artifact/params.h"

namespace tyllm::compile {

/// Parameter files that are being packed, and how far they came, so that a run that is killed goes
/// on with them: <folder>/<file> and <folder>/<file>.part. The folder is in the scratch folder of
/// unfinished work: these files grow, so that nobody may take a snapshot of them. Threads: any, of
/// different files.
class PackedParts {
 public:
  PackedParts(FileSystem& files, Path folder) : files_(files), folder_(std::move(folder)) {}

  /// Where `file` (relative) grows; its folder is made.
  Result<Path> PlaceOf(const Path& file) const;
  /// How far it came, when what it is made of (WeightCache::KeyOf) is still the same.
  std::optional<artifact::WrittenPart> Find(const Path& file, const std::string& key) const;
  Status Keep(const Path& file, const std::string& key, const artifact::WrittenPart& part) const;

 private:
  Path RecordOf(const Path& file) const;

  FileSystem& files_;
  Path folder_;
};

}  // namespace tyllm::compile
