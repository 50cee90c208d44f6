// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/format/json.h"
#include "worker/model/model_shape.h"
#include "worker/model/rope_config.h"

namespace tyllm::model {

/// The keys of config.json that decoder-only families share, under the hub's names.
struct DecoderConfig {
  std::int64_t hidden_size = 0;
  std::int64_t num_hidden_layers = 0;
  std::int64_t num_attention_heads = 0;
  std::optional<std::int64_t> num_key_value_heads;  ///< absent: as many as query heads
  std::optional<std::int64_t> head_dim;
  std::int64_t intermediate_size = 0;
  std::int64_t vocab_size = 0;
  std::int64_t max_position_embeddings = 0;
  std::optional<double> rms_norm_eps;
  std::string hidden_act = "silu";
  bool tie_word_embeddings = false;
  std::optional<bool> attention_bias;
  std::optional<bool> mlp_bias;
  std::optional<bool> use_sliding_window;
  std::optional<std::int64_t> sliding_window;
  std::optional<std::int64_t> max_window_layers;  ///< layers before the first with a window
  std::optional<std::vector<std::string>> layer_types;
  std::optional<double> partial_rotary_factor;
  std::optional<double> rope_theta;
  std::optional<RopeConfig> rope_scaling;
  std::optional<RopeConfig> rope_parameters;
};

/// What families do not agree on where config.json leaves it open.
struct DecoderRules {
  std::int64_t default_head_size = 0;  ///< 0: hidden_size / num_attention_heads
  /// `sliding_window` holds in every layer, without a key use_sliding_window (Mistral).
  bool always_slides = false;
  double default_norm_epsilon = 1e-6;
};

/// Reads and checks what every family needs: types, bounds, and that nothing is asked for that no
/// family supports (other activations or layers). `what` names the file.
Result<DecoderConfig> ReadDecoderConfig(const format::Json& config, std::string_view what);

/// The shape that the shared keys describe; the family adds its quirks. Checks that heads divide
/// and head sizes are even. Kinds of rope scaling that are not supported are kUnimplemented.
Result<ModelShape> ShapeOf(const DecoderConfig& config, const DecoderRules& rules,
                           std::string_view what);

/// The language model's part of a visual-language model's config.json.
struct TextConfig {
  format::Json json;
  std::string what;  ///< names it in messages
};

/// `text_config`, or the file as a whole where it is of the older form that has the language
/// model's keys at the top. Whether the head is tied is told at the top in both.
Result<TextConfig> ReadTextConfig(const format::Json& config, std::string_view what);

}  // namespace tyllm::model
