// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "worker/artifact/layout.h"

// Names in the folders visual/ and mrope/ of a visual language model's directory, and beside them
// (docs/formats/visual.md). Paths are relative to the "<N>die" folder.
namespace tyllm::artifact {

inline constexpr std::string_view kVisualFolder = "visual";
inline constexpr std::string_view kMropeFolder = "mrope";
inline constexpr std::string_view kAotConfigFile = "aot_config.json";
/// The host's table of embeddings, a parameter dictionary.
inline constexpr std::string_view kEmbeddingParamsFile = "embedding.params";
inline constexpr std::string_view kEmbeddingParam = "embedding";
/// The mrope program of die 0 under the names that the board's SDK wants.
inline constexpr std::string_view kComputeRopeObject = "compute_rope_param.so";
inline constexpr std::string_view kComputeRopeParams = "compute_rope_param.params";
/// Pixels, prompt and what the model makes of them, which `tyllm verify` compares with.
inline constexpr std::string_view kVisualGoldenFile = "golden_visual.safetensors";

/// visual/constant_die<d>.params
Path TowerParams(std::int64_t die);
/// visual/vit_die<d>.so
Path TowerObject(std::int64_t die);
/// visual/vit_die<d>.cpp
Path TowerSource(std::int64_t die);
/// visual/ckpt_vit_die<d>.json
Path TowerRecordFile(std::int64_t die);
/// visual/<signature>_<suffix>
Path TowerFile(const std::string& signature, std::string_view suffix);
/// "3_8192_[int32]"
std::string MropeSignature(std::int64_t max_kv);
/// mrope/<signature>_<suffix>
Path MropeFile(std::int64_t max_kv, std::string_view suffix);

}  // namespace tyllm::artifact
