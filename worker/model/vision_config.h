// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/format/json.h"
#include "worker/model/rope_config.h"

namespace tyllm::model {

/// The keys of a vision_config, under the hub's names: what all towers share, and what only some
/// have. What is absent is as in transformers, whose files leave out what is as there. Source:
/// configuration_qwen2_5_vl.py and configuration_qwen3_vl.py.
struct VisionConfig {
  std::string model_type;  ///< older files have it only outside of the vision_config
  std::int64_t depth = 0;
  std::optional<std::int64_t> embed_dim;  ///< Qwen2-VL's hidden_size is the width of its output
  std::int64_t hidden_size = 0;
  std::int64_t num_heads = 0;
  std::int64_t mlp_ratio = 4;
  std::int64_t intermediate_size = 0;
  std::int64_t in_channels = 3;
  std::int64_t patch_size = 0;
  std::int64_t temporal_patch_size = 2;
  std::int64_t spatial_merge_size = 2;
  std::int64_t out_hidden_size = 0;
  std::int64_t num_position_embeddings = 2304;
  std::optional<std::string> hidden_act;
  std::int64_t window_size = 112;  ///< pixels
  std::vector<std::int64_t> fullatt_block_indexes = {7, 15, 23, 31};
  std::vector<std::int64_t> deepstack_visual_indexes = {8, 16, 24};
  double tokens_per_second = 4;
  // The tower's own rope, which has one base in all published models.
  std::optional<double> rope_theta;
  std::optional<RopeConfig> rope_scaling;
  std::optional<RopeConfig> rope_parameters;
};

}  // namespace tyllm::model

template <>
struct tyllm::format::Members<tyllm::model::VisionConfig> {
  using V = tyllm::model::VisionConfig;
  static constexpr auto kTable = std::tuple{
      Member{"model_type", &V::model_type},
      Member{"depth", &V::depth, true},
      Member{"embed_dim", &V::embed_dim},
      Member{"hidden_size", &V::hidden_size, true},
      Member{"num_heads", &V::num_heads},
      Member{"mlp_ratio", &V::mlp_ratio},
      Member{"intermediate_size", &V::intermediate_size},
      Member{"in_channels", &V::in_channels},
      Member{"patch_size", &V::patch_size, true},
      Member{"temporal_patch_size", &V::temporal_patch_size},
      Member{"spatial_merge_size", &V::spatial_merge_size},
      Member{"out_hidden_size", &V::out_hidden_size},
      Member{"num_position_embeddings", &V::num_position_embeddings},
      Member{"hidden_act", &V::hidden_act},
      Member{"window_size", &V::window_size},
      Member{"fullatt_block_indexes", &V::fullatt_block_indexes},
      Member{"deepstack_visual_indexes", &V::deepstack_visual_indexes},
      Member{"tokens_per_second", &V::tokens_per_second},
      Member{"rope_theta", &V::rope_theta},
      Member{"rope_scaling", &V::rope_scaling},
      Member{"rope_parameters", &V::rope_parameters},
  };
};
