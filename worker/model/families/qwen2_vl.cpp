// SPDX-License-Identifier: Apache-2.0
#include "worker/model/decoder_config.h"
#include "worker/model/families.h"

namespace tyllm::model {

namespace {

constexpr DecoderRules kRules{.default_norm_epsilon = 1e-5};

/// The language model of Qwen2-VL is Qwen2's; its checkpoints have a visual tower besides.
void AddQuirks(ModelShape& shape) {
  shape.qkv_bias = true;
  shape.names = kVisualBeside;
  shape.possible_names = kVisualNames;
}

Result<ModelShape> Parse(const format::Json& json, std::string_view what) {
  TYLLM_ASSIGN(const TextConfig text, ReadTextConfig(json, what));
  TYLLM_ASSIGN(const DecoderConfig config, ReadDecoderConfig(text.json, text.what));
  TYLLM_ASSIGN(ModelShape shape, ShapeOf(config, kRules, text.what));
  AddQuirks(shape);
  return shape;
}

// From the config.json files that are published with the models.
constexpr PublishedSize kSizes[] = {
    {"Qwen2-VL-7B", 3584, 28, 28, 4, 128, 18944, 152064, 32768, false, 1e6, 1e-6F},
};

std::vector<PublishedModel> Published() {
  return ModelsOf(kSizes, AddQuirks);
}

}  // namespace

constexpr Family kQwen2Vl{
    .name = "qwen2_vl",
    .architecture = "Qwen2VLForConditionalGeneration",
    .parse = Parse,
    .published = Published,
};

}  // namespace tyllm::model
