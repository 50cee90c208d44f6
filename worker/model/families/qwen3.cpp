// SPDX-License-Identifier: Apache-2.0
#include "worker/model/decoder_config.h"
#include "worker/model/families.h"

namespace tyllm::model {

namespace {

/// What transformers' Qwen3Config takes when config.json has no head_dim.
constexpr DecoderRules kRules{.default_head_size = 128};

/// Qwen3 normalises each head of q and k, and has no biases.
void AddQuirks(ModelShape& shape) {
  shape.qk_norm = true;
}

Result<ModelShape> Parse(const format::Json& json, std::string_view what) {
  TYLLM_ASSIGN(const DecoderConfig config, ReadDecoderConfig(json, what));
  if (config.attention_bias.value_or(false)) {
    return Unimplemented(std::string(what) +
                         ".attention_bias is true; Qwen3 models with biases are not supported");
  }
  TYLLM_ASSIGN(ModelShape shape, ShapeOf(config, kRules, what));
  AddQuirks(shape);
  return shape;
}

// From the config.json files that are published with the models.
constexpr PublishedSize kSizes[] = {
    {"Qwen3-0.6B", 1024, 28, 16, 8, 128, 3072, 151936, 40960, true, 1e6, 1e-6F},
    {"Qwen3-1.7B", 2048, 28, 16, 8, 128, 6144, 151936, 40960, true, 1e6, 1e-6F},
    {"Qwen3-4B", 2560, 36, 32, 8, 128, 9728, 151936, 40960, true, 1e6, 1e-6F},
    {"Qwen3-8B", 4096, 36, 32, 8, 128, 12288, 151936, 40960, false, 1e6, 1e-6F},
};

std::vector<PublishedModel> Published() {
  return ModelsOf(kSizes, AddQuirks);
}

}  // namespace

constexpr Family kQwen3{
    .name = "qwen3",
    .architecture = "Qwen3ForCausalLM",
    .parse = Parse,
    .published = Published,
};

}  // namespace tyllm::model
