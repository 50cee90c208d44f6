// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/format/safetensors.h"

namespace tyllm::model {

/// The safetensors files of a model directory as one set of tensors: model.safetensors, or the
/// shards that model.safetensors.index.json names (the single file goes first where both exist, as
/// transformers does it). Errors name the file and the tensor.
class WeightFiles {
 public:
  static Result<WeightFiles> Open(const Path& directory);

  /// nullptr when there is none of this name.
  const format::TensorView* Find(std::string_view tensor) const;
  /// The file that holds a tensor which Find finds.
  const Path& FileOf(std::string_view tensor) const;
  /// Sorted.
  std::vector<std::string> Names() const;
  /// Names of the files that were read, the index among them.
  std::vector<Path> FileNames() const;
  /// See MappedFile::Forget; every tensor whose name starts with `prefix`.
  void Forget(std::string_view prefix) const;

 private:
  struct Entry {
    std::size_t file = 0;
    const format::TensorView* view = nullptr;
  };

  Status AddFile(const Path& path);
  Status AddShards(const Path& directory, const Path& index);

  bool has_index_ = false;
  // Views point into the maps of these files, which keep their nodes when the vector moves.
  std::vector<format::SafetensorsFile> files_;
  std::map<std::string, Entry, std::less<>> entries_;
};

/// Tensor name -> shard file name, from the text of a model.safetensors.index.json. File names
/// that are not plain names ending in .safetensors (a path, "..") are refused. `what` names the
/// file in messages.
Result<std::map<std::string, std::string>> ParseWeightMap(std::string_view text,
                                                          std::string_view what);

}  // namespace tyllm::model
