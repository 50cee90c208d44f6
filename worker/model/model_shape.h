// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "worker/model/decoder_names.h"
#include "worker/model/rope_scaling.h"

namespace tyllm::model {

/// Everything that distinguishes one decoder-only transformer from another of the supported kind.
/// Filled by a family's parse function from config.json; nothing after that asks which family it
/// is.
struct ModelShape {
  std::string family;        ///< "qwen3"
  std::string architecture;  ///< "Qwen3ForCausalLM"
  std::int64_t layers = 0;
  std::int64_t width = 0;         ///< hidden_size
  std::int64_t heads = 0;         ///< query heads
  std::int64_t kv_heads = 0;      ///< divides heads
  std::int64_t head_size = 0;     ///< even
  std::int64_t intermediate = 0;  ///< width of the MLP
  std::int64_t vocabulary = 0;
  /// Tokens of a text that are computed rightly: max_position_embeddings, or the sliding window
  /// where that is shorter (within a window there is nothing that attention does not see).
  std::int64_t max_positions = 0;
  std::int64_t sliding_window = 0;  ///< tokens; 0 when attention sees everything before
  bool tied_head = false;           ///< the head uses the embedding table
  bool qk_norm = false;             ///< RMS norm over each head of q and k before rope
  bool qkv_bias = false;
  float norm_epsilon = 1e-6F;
  double rope_theta = 10000.0;
  std::optional<Llama3Scaling> rope_scaling;
  DecoderNames names;
  /// Where a checkpoint may use one of several sets of names: all of them. The one that it does use
  /// becomes `names` when it is opened.
  std::span<const DecoderNames> possible_names;

  std::int64_t q_columns() const { return heads * head_size; }

  std::int64_t kv_columns() const { return kv_heads * head_size; }

  /// Query heads that share one KV head.
  std::int64_t queries_per_kv() const { return heads / kv_heads; }

  /// Parameters of the whole model (a tied head counted once).
  std::int64_t parameters() const;
};

/// Makes `names` the first of the possible ones that fits; without one they stay as they are.
void ChooseNames(ModelShape& shape, const std::function<bool(const DecoderNames&)>& fits);

/// theta^(-2i/head_size) for i in [0, head_size/2), scaled as the model asks, in float32 as the
/// reference implementations hold it. The angle of position p is float(p) * frequency[i]; sine and
/// cosine of it are taken in float64 and rounded to float32. Halves are rotated as in transformers'
/// rotate_half: x[i] with x[i + head_size/2].
std::vector<float> RopeFrequencies(const ModelShape& shape);

}  // namespace tyllm::model
