// SPDX-License-Identifier: Apache-2.0
#include "worker/model/decoder_config.h"
#include "worker/model/families.h"

namespace tyllm::model {

namespace {

/// The first Mistral attends over its window in every layer; later ones have null for it.
constexpr std::int64_t kDefaultWindow = 4096;
constexpr DecoderRules kRules{.always_slides = true};

Result<ModelShape> Parse(const format::Json& json, std::string_view what) {
  TYLLM_ASSIGN(DecoderConfig config, ReadDecoderConfig(json, what));
  if (!json.contains("sliding_window")) {
    config.sliding_window = kDefaultWindow;
  }
  return ShapeOf(config, kRules, what);
}

// From the config.json files that are published with the models.
constexpr PublishedSize kSizes[] = {
    {"Mistral-7B-v0.1", 4096, 32, 32, 8, 128, 14336, 32000, 4096, false, 1e4, 1e-5F},
    {"Mistral-7B-v0.3", 4096, 32, 32, 8, 128, 14336, 32768, 32768, false, 1e6, 1e-5F},
    {"Mistral-Nemo-12B", 5120, 40, 32, 8, 128, 14336, 131072, 131072, false, 1e6, 1e-5F},
};

std::vector<PublishedModel> Published() {
  return ModelsOf(kSizes);
}

}  // namespace

constexpr Family kMistral{
    .name = "mistral",
    .architecture = "MistralForCausalLM",
    .parse = Parse,
    .published = Published,
};

}  // namespace tyllm::model
