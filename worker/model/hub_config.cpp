// SPDX-License-Identifier: Apache-2.0
#include "worker/model/hub_config.h"

#include <utility>

namespace tyllm::model {

namespace {

using format::Json;

/// A float's shortest decimal form, not its expansion in float64.
double Decimal(float value) {
  return std::stod(format::CompactJson(Json(value)));
}

Json DecoderKeys(const ModelShape& shape, const SpecialTokens& tokens) {
  return {{"attention_dropout", 0.0},
          {"bos_token_id", tokens.begin},
          {"eos_token_id", tokens.end},
          {"head_dim", shape.head_size},
          {"hidden_act", "silu"},
          {"hidden_size", shape.width},
          {"initializer_range", 0.02},
          {"intermediate_size", shape.intermediate},
          {"max_position_embeddings", shape.max_positions},
          {"num_attention_heads", shape.heads},
          {"num_hidden_layers", shape.layers},
          {"num_key_value_heads", shape.kv_heads},
          {"rms_norm_eps", Decimal(shape.norm_epsilon)},
          {"rope_theta", shape.rope_theta},
          {"use_cache", true},
          {"vocab_size", shape.vocabulary}};
}

/// Rotary sections of time, height and width: a quarter for time, the rest in two.
Json MropeScaling(const ModelShape& shape) {
  const std::int64_t pairs = shape.head_size / 2;
  const std::int64_t time = shape.qk_norm ? pairs - 2 * (pairs * 5 / 16) : pairs / 4;
  Json scaling = {{"rope_type", "default"},
                  {"mrope_section", {time, (pairs - time) / 2, (pairs - time) / 2}}};
  if (shape.qk_norm) {
    scaling["mrope_interleaved"] = true;
  } else {
    scaling["type"] = "mrope";
  }
  return scaling;
}

}  // namespace

Json HubConfig(const PublishedModel& model, const SpecialTokens& tokens, const Json& vision) {
  const ModelShape& shape = model.shape;
  Json config = {{"architectures", {shape.architecture}}, {"model_type", shape.family}};
  Json decoder = DecoderKeys(shape, tokens);
  if (shape.family == "mistral") {
    decoder["sliding_window"] = nullptr;  // the positions are limited already; absent means 4096
  }
  if (!vision.is_null()) {
    decoder["rope_scaling"] = MropeScaling(shape);
  }
  if (shape.names.embedding.find("language_model") != std::string_view::npos) {
    decoder["model_type"] = shape.family + "_text";
    config["text_config"] = std::move(decoder);
  } else {
    config.update(decoder);
  }
  config["tie_word_embeddings"] = shape.tied_head;
  config["torch_dtype"] = "float16";
  if (!vision.is_null()) {
    config["vision_config"] = vision;
    std::int64_t next = tokens.first_visual;
    for (const char* const key :
         {"vision_start_token_id", "vision_end_token_id", "image_token_id", "video_token_id"}) {
      config[key] = next++;
    }
  }
  return config;
}

}  // namespace tyllm::model
