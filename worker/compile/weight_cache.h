// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "worker/artifact/manifest.h"
#include "worker/compile/preparation.h"

namespace tyllm::compile {

/// Packed weights by what they were made of: <directory>/<key>.params, a hard link to the file of a
/// compiled model, and its digest beside it. So it takes no room of its own, and a model that is
/// compiled again for another context or other buckets finds its weights packed. On another file
/// system than the models, it keeps nothing. Processes: any; entries appear whole.
class WeightCache {
 public:
  /// No folder: remembers nothing.
  WeightCache(FileSystem& files, Path directory)
      : files_(files), directory_(std::move(directory)) {}

  /// What common_die<d>.params depends on: the model's files, the die's parts of its tensors, how
  /// the kernels have them packed, and the code that reads and packs them, by this version of the
  /// program and kPackingVersion.
  static std::string KeyOf(const Preparation& preparation, const plan::Schedule& schedule);

  /// Sizes of the files that a cache of compiled objects in `folder` has.
  static std::set<std::uint64_t> SizesIn(const Path& folder);

  /// Links the entry to `to` when its digest is still that of its bytes, which are read for that.
  std::optional<std::string> Take(const std::string& key, const Path& to);
  /// Remembers a finished file. A cache that cannot be written is no reason to fail.
  void Keep(const std::string& key, const Path& file, const std::string& sha256);
  /// Removes entries that no compiled model shares any more, but those that were taken or kept
  /// through this object.
  void Prune();

 private:
  Path PathOf(const std::string& key, const char* extension) const;

  FileSystem& files_;
  Path directory_;
  std::set<std::string> used_;
};

}  // namespace tyllm::compile
