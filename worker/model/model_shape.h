// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tyllm::model {

/// What a family calls its modules in a checkpoint: the hub's usual names unless it says otherwise.
/// Names of modules, to which ".weight" or ".bias" is added; those of a layer follow its prefix.
struct DecoderNames {
  std::string_view embedding = "model.embed_tokens";
  std::string_view layers = "model.layers";
  std::string_view final_norm = "model.norm";
  std::string_view head = "lm_head";
  std::string_view attention_norm = "input_layernorm";
  std::string_view q = "self_attn.q_proj";
  std::string_view k = "self_attn.k_proj";
  std::string_view v = "self_attn.v_proj";
  std::string_view o = "self_attn.o_proj";
  std::string_view q_norm = "self_attn.q_norm";
  std::string_view k_norm = "self_attn.k_norm";
  std::string_view mlp_norm = "post_attention_layernorm";
  std::string_view gate = "mlp.gate_proj";
  std::string_view up = "mlp.up_proj";
  std::string_view down = "mlp.down_proj";

  /// "model.layers.3"
  std::string Layer(std::int64_t layer) const;
  /// "model.layers.3.mlp.up_proj" for `module` "mlp.up_proj"
  std::string InLayer(std::int64_t layer, std::string_view module) const;
};

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
  std::int64_t max_positions = 0;
  bool tied_head = false;  ///< the head uses the embedding table
  bool qk_norm = false;    ///< RMS norm over each head of q and k before rope
  bool qkv_bias = false;
  float norm_epsilon = 1e-6F;
  double rope_theta = 10000.0;
  DecoderNames names;

  std::int64_t q_columns() const { return heads * head_size; }

  std::int64_t kv_columns() const { return kv_heads * head_size; }

  /// Query heads that share one KV head.
  std::int64_t queries_per_kv() const { return heads / kv_heads; }

  /// Parameters of the whole model (a tied head counted once).
  std::int64_t parameters() const;
};

/// theta^(-2i/head_size) for i in [0, head_size/2), in float32 as the reference implementations
/// hold it. The angle of position p is float(p) * frequency[i]; sine and cosine of it are taken in
/// float64 and rounded to float32. Halves are rotated as in transformers' rotate_half: x[i] with
/// x[i + head_size/2].
std::vector<float> RopeFrequencies(const ModelShape& shape);

}  // namespace tyllm::model
