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

}  // namespace

constexpr Family kQwen3{
    .name = "qwen3",
    .architecture = "Qwen3ForCausalLM",
    .models = "Qwen3 dense text models, 0.6B to 32B",
    .parse = Parse,
};

}  // namespace tyllm::model
