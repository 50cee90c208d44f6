// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/format/safetensors.h"

namespace tyllm::quant {

/// Largest size of a weight file, as on the hub.
inline constexpr std::uint64_t kDefaultShardBytes = 5'000'000'000;

/// A weight file to be written.
struct Shard {
  std::string file;  ///< "model.safetensors" or "model-00001-of-00003.safetensors"
  std::vector<format::TensorSpec> tensors;
};

/// Tensors in the given order, as many in a file as fit in `limit` bytes of data (always at least
/// one). A single file has the plain name and needs no index.
std::vector<Shard> PlanShards(std::vector<format::TensorSpec> tensors, std::uint64_t limit);

/// Text of model.safetensors.index.json.
std::string IndexText(const std::vector<Shard>& shards);

}  // namespace tyllm::quant
