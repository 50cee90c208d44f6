// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/digest.h"
#include "common/base/file_system.h"
#include "common/format/safetensors.h"
#include "worker/quant/shard_plan.h"
#include "worker/tensor/task_lanes.h"

namespace tyllm::quant {

/// Writes the weight files and, unless the only one is model.safetensors, their index into a
/// folder. All tensors are announced first, so that every file's header is known and tensors go to
/// the disk as they come; a file is synced and closed when its last tensor is in. Not thread-safe.
class CheckpointWriter {
 public:
  /// `files` outlives the writer.
  CheckpointWriter(FileSystem& files, Path directory, std::vector<Shard> shards);
  CheckpointWriter(CheckpointWriter&&) noexcept = default;

  /// In any order, each once. `bytes` as the announced shape and type say.
  Status Write(std::string_view tensor, std::span<const std::byte> bytes);
  /// All tensors must be in. Writes the index.
  Status Finish();
  /// Opens what was written and compares every tensor's bytes with those that were given.
  Status Verify(tensor::TaskLanes& lanes) const;
  Status Verify() const;

  /// Bytes of data of all tensors.
  std::uint64_t total_bytes() const;

 private:
  struct Place {
    std::size_t shard = 0;
    std::optional<Sha256> digest;  ///< of what was written
  };

  struct OpenShard {
    std::optional<format::SafetensorsWriter> writer;
    std::size_t missing = 0;
  };

  FileSystem* files_;
  Path directory_;
  std::vector<Shard> shards_;
  std::vector<OpenShard> open_;
  std::map<std::string, Place, std::less<>> places_;
};

}  // namespace tyllm::quant
