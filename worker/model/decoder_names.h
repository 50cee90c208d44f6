// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

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
  /// The module of the visual tower, which is no part of the decoder; empty where there is none.
  std::string_view visual;

  /// "model.layers.3"
  std::string Layer(std::int64_t layer) const;
  /// "model.layers.3.mlp.up_proj" for `module` "mlp.up_proj"
  std::string InLayer(std::int64_t layer, std::string_view module) const;
  /// Whether a tensor of this name belongs to the visual tower.
  bool IsVisual(std::string_view tensor) const;
};

/// Visual-language models as they are on the hub up to transformers 4.51: the visual tower stands
/// beside a language model that has its usual names.
inline constexpr DecoderNames kVisualBeside{.visual = "visual"};

/// The same as transformers 4.52 and later write them: both parts are below "model".
inline constexpr DecoderNames kVisualWithin{.embedding = "model.language_model.embed_tokens",
                                            .layers = "model.language_model.layers",
                                            .final_norm = "model.language_model.norm",
                                            .visual = "model.visual"};

/// All that visual-language checkpoints use.
inline constexpr std::array kVisualNames{kVisualBeside, kVisualWithin};

}  // namespace tyllm::model
