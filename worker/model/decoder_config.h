// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/format/json.h"
#include "worker/model/model_shape.h"

namespace tyllm::model {

/// `rope_scaling` of configurations up to transformers 4, `rope_parameters` of transformers 5.
struct RopeConfig {
  std::optional<double> rope_theta;
  std::optional<std::string> rope_type;
  std::optional<std::string> type;  ///< older spelling of rope_type
  std::optional<double> partial_rotary_factor;
};

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
  double rms_norm_eps = 1e-6;
  std::string hidden_act = "silu";
  bool tie_word_embeddings = false;
  std::optional<bool> attention_bias;
  std::optional<bool> mlp_bias;
  std::optional<bool> use_sliding_window;
  std::optional<std::vector<std::string>> layer_types;
  std::optional<double> rope_theta;
  std::optional<RopeConfig> rope_scaling;
  std::optional<RopeConfig> rope_parameters;
};

/// Reads and checks what every family needs: types, bounds, and that nothing is asked for that no
/// family supports (sliding windows, scaled rope, other activations). `what` names the file.
Result<DecoderConfig> ReadDecoderConfig(const format::Json& config, std::string_view what);

/// The shape that the shared keys describe; the family adds its quirks. `default_head_size` of 0
/// means hidden_size / num_attention_heads. Checks that heads divide and head sizes are even.
Result<ModelShape> ShapeOf(const DecoderConfig& config, std::int64_t default_head_size,
                           std::string_view what);

}  // namespace tyllm::model
