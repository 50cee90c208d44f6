// SPDX-License-Identifier: Apache-2.0
#include "worker/model/decoder_config.h"

#include <algorithm>
#include <utility>

namespace tyllm::format {

template <>
struct Members<model::DecoderConfig> {
  using C = model::DecoderConfig;
  static constexpr auto kTable =
      std::tuple{Member{"hidden_size", &C::hidden_size, true},
                 Member{"num_hidden_layers", &C::num_hidden_layers, true},
                 Member{"num_attention_heads", &C::num_attention_heads, true},
                 Member{"num_key_value_heads", &C::num_key_value_heads},
                 Member{"head_dim", &C::head_dim},
                 Member{"intermediate_size", &C::intermediate_size, true},
                 Member{"vocab_size", &C::vocab_size, true},
                 Member{"max_position_embeddings", &C::max_position_embeddings, true},
                 Member{"rms_norm_eps", &C::rms_norm_eps},
                 Member{"hidden_act", &C::hidden_act},
                 Member{"tie_word_embeddings", &C::tie_word_embeddings},
                 Member{"attention_bias", &C::attention_bias},
                 Member{"mlp_bias", &C::mlp_bias},
                 Member{"use_sliding_window", &C::use_sliding_window},
                 Member{"sliding_window", &C::sliding_window},
                 Member{"max_window_layers", &C::max_window_layers},
                 Member{"layer_types", &C::layer_types},
                 Member{"partial_rotary_factor", &C::partial_rotary_factor},
                 Member{"rope_theta", &C::rope_theta},
                 Member{"rope_scaling", &C::rope_scaling},
                 Member{"rope_parameters", &C::rope_parameters}};
};

}  // namespace tyllm::format

namespace tyllm::model {

namespace {

constexpr std::string_view kFullAttention = "full_attention";
constexpr std::string_view kSlidingAttention = "sliding_attention";
constexpr std::int64_t kMostTokens = 1 << 27;

std::string Key(std::string_view what, std::string_view key) {
  return std::string(what) + "." + std::string(key);
}

/// Upper bounds are far above any published model and keep every product within 63 bits.
Status CheckRange(std::string_view what, std::string_view key, std::int64_t value,
                  std::int64_t most) {
  if (value >= 1 && value <= most) {
    return OkStatus();
  }
  return InvalidArgument(Key(what, key) + " is " + std::to_string(value) + ", expected 1 to " +
                         std::to_string(most));
}

Status CheckRanges(const DecoderConfig& config, std::string_view what) {
  constexpr std::int64_t kMostLayers = 4096;
  constexpr std::int64_t kMostHeads = 4096;
  constexpr std::int64_t kMostHeadSize = 4096;
  constexpr std::int64_t kMostColumns = 1 << 20;
  TYLLM_TRY(CheckRange(what, "hidden_size", config.hidden_size, kMostColumns));
  TYLLM_TRY(CheckRange(what, "num_hidden_layers", config.num_hidden_layers, kMostLayers));
  TYLLM_TRY(CheckRange(what, "num_attention_heads", config.num_attention_heads, kMostHeads));
  TYLLM_TRY(CheckRange(what, "num_key_value_heads",
                       config.num_key_value_heads.value_or(config.num_attention_heads),
                       kMostHeads));
  TYLLM_TRY(CheckRange(what, "head_dim", config.head_dim.value_or(2), kMostHeadSize));
  TYLLM_TRY(CheckRange(what, "intermediate_size", config.intermediate_size, kMostColumns));
  TYLLM_TRY(CheckRange(what, "vocab_size", config.vocab_size, kMostTokens));
  return CheckRange(what, "max_position_embeddings", config.max_position_embeddings, kMostTokens);
}

Status CheckLayerTypes(const DecoderConfig& config, std::string_view what) {
  if (!config.layer_types) {
    return OkStatus();
  }
  for (const std::string& type : *config.layer_types) {
    if (type != kFullAttention && type != kSlidingAttention) {
      return Unimplemented(Key(what, "layer_types") + " has '" + type.substr(0, 80) +
                           "', supported are 'full_attention' and 'sliding_attention'");
    }
  }
  if (std::cmp_not_equal(config.layer_types->size(), config.num_hidden_layers)) {
    return InvalidArgument(Key(what, "layer_types") + " has " +
                           std::to_string(config.layer_types->size()) + " entries, expected " +
                           std::to_string(config.num_hidden_layers) +
                           ", one for each of num_hidden_layers");
  }
  return OkStatus();
}

Status CheckArithmetic(const DecoderConfig& config, std::string_view what) {
  if (config.hidden_act != "silu") {
    return Unimplemented(Key(what, "hidden_act") + " is '" + config.hidden_act.substr(0, 80) +
                         "', supported is only 'silu'");
  }
  if (config.mlp_bias.value_or(false)) {
    return Unimplemented(Key(what, "mlp_bias") + " is true; biases in the MLP are not supported");
  }
  if (config.partial_rotary_factor.value_or(1.0) != 1.0) {
    return Unimplemented(Key(what, "partial_rotary_factor") + " is " +
                         std::to_string(*config.partial_rotary_factor) + ", supported is only 1");
  }
  if (const double epsilon = config.rms_norm_eps.value_or(0.5); !(epsilon > 0.0 && epsilon < 1.0)) {
    return InvalidArgument(Key(what, "rms_norm_eps") + " is " + std::to_string(epsilon) +
                           ", expected more than 0 and less than 1");
  }
  return OkStatus();
}

/// Whether some layer attends over a window only.
bool Slides(const DecoderConfig& config, const DecoderRules& rules) {
  if (rules.always_slides) {
    return config.sliding_window.has_value();
  }
  if (config.layer_types) {
    return std::ranges::find(*config.layer_types, kSlidingAttention) != config.layer_types->end();
  }
  return config.use_sliding_window.value_or(false) &&
         config.max_window_layers.value_or(0) < config.num_hidden_layers;
}

/// In tokens; 0: no layer has one.
Result<std::int64_t> ReadSlidingWindow(const DecoderConfig& config, const DecoderRules& rules,
                                       std::string_view what) {
  if (!Slides(config, rules)) {
    return 0;
  }
  if (!config.sliding_window) {
    return InvalidArgument(std::string(what) +
                           " has layers with sliding attention, but no number 'sliding_window'; "
                           "add it, or set use_sliding_window to false and leave out layer_types");
  }
  TYLLM_TRY(CheckRange(what, "sliding_window", *config.sliding_window, kMostTokens));
  return *config.sliding_window;
}

Status CheckHeads(const ModelShape& shape, bool head_size_is_given, std::string_view what) {
  if (shape.heads % shape.kv_heads != 0) {
    return InvalidArgument(Key(what, "num_attention_heads") + " is " + std::to_string(shape.heads) +
                           ", which " + std::to_string(shape.kv_heads) +
                           " (num_key_value_heads) does not divide");
  }
  if (!head_size_is_given && shape.width % shape.heads != 0) {
    return InvalidArgument(Key(what, "hidden_size") + " is " + std::to_string(shape.width) +
                           ", which " + std::to_string(shape.heads) +
                           " (num_attention_heads) does not divide, and there is no 'head_dim'");
  }
  if (shape.head_size % 2 != 0 || shape.head_size == 0) {
    return InvalidArgument(Key(what, "head_dim") + " is " + std::to_string(shape.head_size) +
                           ", expected an even number of 2 or more");
  }
  return OkStatus();
}

}  // namespace

Result<DecoderConfig> ReadDecoderConfig(const format::Json& json, std::string_view what) {
  TYLLM_ASSIGN(DecoderConfig config,
               format::FromJson<DecoderConfig>(json, what, format::UnknownKeys::kIgnore));
  TYLLM_TRY(CheckRanges(config, what));
  TYLLM_TRY(CheckLayerTypes(config, what));
  TYLLM_TRY(CheckArithmetic(config, what));
  return config;
}

Result<ModelShape> ShapeOf(const DecoderConfig& config, const DecoderRules& rules,
                           std::string_view what) {
  ModelShape shape;
  shape.layers = config.num_hidden_layers;
  shape.width = config.hidden_size;
  shape.heads = config.num_attention_heads;
  shape.kv_heads = config.num_key_value_heads.value_or(shape.heads);
  const bool head_size_is_given = config.head_dim.has_value() || rules.default_head_size > 0;
  shape.head_size = config.head_dim.value_or(
      rules.default_head_size > 0 ? rules.default_head_size : shape.width / shape.heads);
  shape.intermediate = config.intermediate_size;
  shape.vocabulary = config.vocab_size;
  shape.max_positions = config.max_position_embeddings;
  TYLLM_ASSIGN(shape.sliding_window, ReadSlidingWindow(config, rules, what));
  if (shape.sliding_window > 0) {
    shape.max_positions = std::min(shape.max_positions, shape.sliding_window);
  }
  shape.tied_head = config.tie_word_embeddings;
  shape.norm_epsilon = static_cast<float>(config.rms_norm_eps.value_or(rules.default_norm_epsilon));
  TYLLM_TRY(CheckHeads(shape, head_size_is_given, what));
  TYLLM_ASSIGN(const Rope rope,
               ReadRope({config.rope_theta, config.rope_scaling, config.rope_parameters},
                        shape.head_size, what));
  shape.rope_theta = rope.theta;
  shape.rope_scaling = rope.scaling;
  return shape;
}

Result<TextConfig> ReadTextConfig(const format::Json& config, std::string_view what) {
  const auto inner = config.find("text_config");
  if (inner == config.end() || inner->is_null()) {
    return TextConfig{config, std::string(what)};
  }
  TextConfig text{*inner, Key(what, "text_config")};
  if (!inner->is_object()) {
    return format::WrongKind(text.what, *inner, "an object");
  }
  if (const auto tied = config.find("tie_word_embeddings"); tied != config.end()) {
    text.json["tie_word_embeddings"] = *tied;
  }
  return text;
}

}  // namespace tyllm::model
