// SPDX-License-Identifier: Apache-2.0
#include "worker/model/decoder_config.h"
#include "worker/model/families.h"

namespace tyllm::model {

namespace {

/// What transformers' Qwen3VLTextConfig takes when config.json has no head_dim.
constexpr DecoderRules kRules{.default_head_size = 128};

/// The language model of Qwen3-VL is Qwen3's; its checkpoints have a visual tower besides.
void AddQuirks(ModelShape& shape) {
  shape.qk_norm = true;
  shape.names = kVisualWithin;
  shape.possible_names = kVisualNames;
}

Result<ModelShape> Parse(const format::Json& json, std::string_view what) {
  TYLLM_ASSIGN(const TextConfig text, ReadTextConfig(json, what));
  TYLLM_ASSIGN(const DecoderConfig config, ReadDecoderConfig(text.json, text.what));
  if (config.attention_bias.value_or(false)) {
    return Unimplemented(text.what +
                         ".attention_bias is true; Qwen3-VL models with biases are not supported");
  }
  TYLLM_ASSIGN(ModelShape shape, ShapeOf(config, kRules, text.what));
  AddQuirks(shape);
  return shape;
}

// From the config.json files that are published with the models.
constexpr PublishedSize kSizes[] = {
    {"Qwen3-VL-2B", 2048, 28, 16, 8, 128, 6144, 151936, 262144, true, 5e6, 1e-6F},
    {"Qwen3-VL-4B", 2560, 36, 32, 8, 128, 9728, 151936, 262144, true, 5e6, 1e-6F},
    {"Qwen3-VL-8B", 4096, 36, 32, 8, 128, 12288, 151936, 262144, false, 5e6, 1e-6F},
};

std::vector<PublishedModel> Published() {
  return ModelsOf(kSizes, AddQuirks);
}

}  // namespace

constexpr Family kQwen3Vl{
    .name = "qwen3_vl",
    .architecture = "Qwen3VLForConditionalGeneration",
    .parse = Parse,
    .published = Published,
};

}  // namespace tyllm::model
