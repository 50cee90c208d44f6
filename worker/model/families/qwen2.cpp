// SPDX-License-Identifier: Apache-2.0
#include "worker/model/decoder_config.h"
#include "worker/model/families.h"

namespace tyllm::model {

namespace {

/// Qwen2, of which Qwen1.5, Qwen2.5 and the models distilled from DeepSeek-R1 are: q, k and v have
/// biases.
void AddQuirks(ModelShape& shape) {
  shape.qkv_bias = true;
}

Result<ModelShape> Parse(const format::Json& json, std::string_view what) {
  TYLLM_ASSIGN(const DecoderConfig config, ReadDecoderConfig(json, what));
  TYLLM_ASSIGN(ModelShape shape, ShapeOf(config, {}, what));
  AddQuirks(shape);
  return shape;
}

// From the config.json files that are published with the models.
constexpr PublishedSize kSizes[] = {
    {"Qwen1.5-1.8B", 2048, 24, 16, 16, 128, 5504, 151936, 32768, false, 1e6, 1e-6F},
    {"Qwen2-7B", 3584, 28, 28, 4, 128, 18944, 152064, 131072, false, 1e6, 1e-6F},
    {"Qwen2.5-0.5B", 896, 24, 14, 2, 64, 4864, 151936, 32768, true, 1e6, 1e-6F},
    {"Qwen2.5-1.5B", 1536, 28, 12, 2, 128, 8960, 151936, 131072, true, 1e6, 1e-6F},
    {"DeepSeek-R1-Distill-Qwen-1.5B", 1536, 28, 12, 2, 128, 8960, 151936, 131072, false, 1e4,
     1e-6F},
    {"DeepSeek-R1-Distill-Qwen-7B", 3584, 28, 28, 4, 128, 18944, 152064, 131072, false, 1e4, 1e-6F},
    {"DeepSeek-R1-Distill-Qwen-32B", 5120, 64, 40, 8, 128, 27648, 152064, 131072, false, 1e6,
     1e-5F},
};

std::vector<PublishedModel> Published() {
  return ModelsOf(kSizes, AddQuirks);
}

}  // namespace

constexpr Family kQwen2{
    .name = "qwen2",
    .architecture = "Qwen2ForCausalLM",
    .parse = Parse,
    .published = Published,
};

}  // namespace tyllm::model
