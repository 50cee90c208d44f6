// SPDX-License-Identifier: Apache-2.0
#include "worker/model/decoder_config.h"
#include "worker/model/families.h"

namespace tyllm::model {

namespace {

/// Llama is what the shared keys describe; 3.1 and later scale rope.
Result<ModelShape> Parse(const format::Json& json, std::string_view what) {
  TYLLM_ASSIGN(const DecoderConfig config, ReadDecoderConfig(json, what));
  if (config.attention_bias.value_or(false)) {
    return Unimplemented(std::string(what) +
                         ".attention_bias is true; Llama models with biases are not supported");
  }
  return ShapeOf(config, {}, what);
}

// From the config.json files that are published with the models.
constexpr PublishedSize kSizes[] = {
    {"Llama3-8B", 4096, 32, 32, 8, 128, 14336, 128256, 8192, false, 5e5, 1e-5F},
};

std::vector<PublishedModel> Published() {
  return ModelsOf(kSizes);
}

}  // namespace

constexpr Family kLlama{
    .name = "llama",
    .architecture = "LlamaForCausalLM",
    .parse = Parse,
    .published = Published,
};

}  // namespace tyllm::model
