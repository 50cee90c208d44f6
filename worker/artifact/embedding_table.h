// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "worker/artifact/npy.h"
#include "worker/artifact/params.h"

namespace tyllm::artifact {

/// The host's table of embeddings of an artifact whose programs take embeddings: embedding.params
/// of a visual language model, otherwise embedding.npy. Rows of binary16, mapped.
class EmbeddingTable {
 public:
  /// `folder` is the "<N>die" folder. kDataLoss names the file and what is wrong with it.
  static Result<EmbeddingTable> Open(const Path& folder);

  const Path& path() const { return path_; }

  std::int64_t rows() const { return rows_; }

  std::int64_t columns() const { return columns_; }

  /// Row `r` as float32 into `out` [columns].
  void Read(std::int64_t r, std::span<float> out) const;
  /// Gives back the memory of mapped pages that were read.
  void Forget() const;

 private:
  EmbeddingTable() = default;

  Path path_;
  std::optional<NpyTable> npy_;
  std::optional<ParamsFile> params_;
  std::span<const std::byte> data_;  ///< of params_
  std::int64_t rows_ = 0;
  std::int64_t columns_ = 0;
};

}  // namespace tyllm::artifact
