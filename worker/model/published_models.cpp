// SPDX-License-Identifier: Apache-2.0
#include "worker/model/published_models.h"

namespace tyllm::model {

namespace {

struct Row {
  std::string_view name;
  std::int64_t width, layers, heads, kv_heads, intermediate;
  bool tied_head;
};

// From the config.json files that are published with the models.
constexpr Row kQwen3[] = {
    {"Qwen3-0.6B", 1024, 28, 16, 8, 3072, true},
    {"Qwen3-1.7B", 2048, 28, 16, 8, 6144, true},
    {"Qwen3-4B", 2560, 36, 32, 8, 9728, true},
    {"Qwen3-8B", 4096, 36, 32, 8, 12288, false},
};

ModelShape Qwen3Shape(const Row& row) {
  ModelShape shape;
  shape.family = "qwen3";
  shape.architecture = "Qwen3ForCausalLM";
  shape.layers = row.layers;
  shape.width = row.width;
  shape.heads = row.heads;
  shape.kv_heads = row.kv_heads;
  shape.head_size = 128;
  shape.intermediate = row.intermediate;
  shape.vocabulary = 151936;
  shape.max_positions = 40960;
  shape.tied_head = row.tied_head;
  shape.qk_norm = true;
  shape.rope_theta = 1e6;
  return shape;
}

}  // namespace

std::vector<PublishedModel> PublishedModels() {
  std::vector<PublishedModel> models;
  for (const Row& row : kQwen3) {
    models.push_back({row.name, Qwen3Shape(row)});
  }
  return models;
}

}  // namespace tyllm::model
