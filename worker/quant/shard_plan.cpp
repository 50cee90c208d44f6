// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/shard_plan.h"

#include <cstdio>
#include <map>
#include <utility>

#include "common/format/json.h"

namespace tyllm::quant {

namespace {

std::string ShardName(std::size_t number, std::size_t count) {
  char name[64];
  std::snprintf(name, sizeof(name), "model-%05zu-of-%05zu.safetensors", number, count);
  return name;
}

}  // namespace

std::vector<Shard> PlanShards(std::vector<format::TensorSpec> tensors, std::uint64_t limit) {
  std::vector<Shard> shards(1);
  std::uint64_t size = 0;
  for (format::TensorSpec& tensor : tensors) {
    const std::uint64_t bytes = tensor.bytes();
    if (!shards.back().tensors.empty() && size + bytes > limit) {
      shards.emplace_back();
      size = 0;
    }
    size += bytes;
    shards.back().tensors.push_back(std::move(tensor));
  }
  for (std::size_t i = 0; i < shards.size(); ++i) {
    shards[i].file = shards.size() == 1 ? "model.safetensors" : ShardName(i + 1, shards.size());
  }
  return shards;
}

std::string IndexText(const std::vector<Shard>& shards) {
  std::uint64_t total = 0;
  std::map<std::string, std::string> files;
  for (const Shard& shard : shards) {
    for (const format::TensorSpec& tensor : shard.tensors) {
      total += tensor.bytes();
      files[tensor.name] = shard.file;
    }
  }
  format::Json index = format::Json::object();
  index["metadata"]["total_size"] = total;
  index["weight_map"] = format::ToJson(files);
  return format::PrettyJson(index);
}

}  // namespace tyllm::quant
