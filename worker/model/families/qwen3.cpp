// SPDX-License-Identifier: Apache-2.0
#include "worker/model/decoder_config.h"
#include "worker/model/families.h"

namespace tyllm::model {

namespace {

/// What transformers' Qwen3Config takes when config.json has no head_dim.
constexpr std::int64_t kDefaultHeadSize = 128;

/// Qwen3 normalises each head of q and k, and has no biases.
Result<ModelShape> Parse(const format::Json& json, std::string_view what) {
  TYLLM_ASSIGN(const DecoderConfig config, ReadDecoderConfig(json, what));
  if (config.attention_bias.value_or(false)) {
    return Unimplemented(std::string(what) +
                         ".attention_bias is true; Qwen3 models with biases are not supported");
  }
  TYLLM_ASSIGN(ModelShape shape, ShapeOf(config, kDefaultHeadSize, what));
  shape.qk_norm = true;
  return shape;
}

struct Size {
  std::string_view name;
  std::int64_t width, layers, heads, kv_heads, intermediate;
  bool tied_head;
};

// From the config.json files that are published with the models.
constexpr Size kSizes[] = {
    {"Qwen3-0.6B", 1024, 28, 16, 8, 3072, true},
    {"Qwen3-1.7B", 2048, 28, 16, 8, 6144, true},
    {"Qwen3-4B", 2560, 36, 32, 8, 9728, true},
    {"Qwen3-8B", 4096, 36, 32, 8, 12288, false},
};

ModelShape ShapeOf(const Size& size) {
  ModelShape shape;
  shape.layers = size.layers;
  shape.width = size.width;
  shape.heads = size.heads;
  shape.kv_heads = size.kv_heads;
  shape.head_size = kDefaultHeadSize;
  shape.intermediate = size.intermediate;
  shape.vocabulary = 151936;
  shape.max_positions = 40960;
  shape.tied_head = size.tied_head;
  shape.qk_norm = true;
  shape.rope_theta = 1e6;
  return shape;
}

std::vector<PublishedModel> Published() {
  std::vector<PublishedModel> models;
  for (const Size& size : kSizes) {
    models.push_back({size.name, ShapeOf(size)});
  }
  return models;
}

}  // namespace

constexpr Family kQwen3{
    .name = "qwen3",
    .architecture = "Qwen3ForCausalLM",
    .parse = Parse,
    .published = Published,
};

}  // namespace tyllm::model
