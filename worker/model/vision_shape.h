// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/enum_table.h"
#include "common/format/json.h"

namespace tyllm::model {

/// Between the two linear layers of a tower's MLP.
enum class VisionActivation : std::uint8_t {
  kGelu,       ///< x * normal distribution(x), by erf
  kGeluTanh,   ///< its approximation by tanh
  kQuickGelu,  ///< x * sigmoid(1.702 x)
  kSilu,       ///< silu(gate) * up: with a third linear layer
};

inline constexpr EnumTable<VisionActivation, 4> kVisionActivationNames(
    "activation", {{{VisionActivation::kGelu, "gelu"},
                    {VisionActivation::kGeluTanh, "gelu_pytorch_tanh"},
                    {VisionActivation::kQuickGelu, "quick_gelu"},
                    {VisionActivation::kSilu, "silu"}}});

constexpr const auto& NamesOf(VisionActivation) {
  return kVisionActivationNames;
}

/// The time that rope sees in a video.
enum class VideoTime : std::uint8_t {
  kGrids,    ///< the number of the grid (Qwen2-VL)
  kSeconds,  ///< seconds times tokens_per_second, whole (Qwen2.5-VL)
  kApart,    ///< none: each grid is an image of its own, its time is told as text (Qwen3-VL)
};

/// What a kind of tower calls its modules; those of a block follow "blocks.<i>.".
struct VisionNames {
  std::string_view fc1 = "mlp.fc1";  ///< the gate, where there is one
  std::string_view up;               ///< empty: no gate
  std::string_view fc2 = "mlp.fc2";
  std::string_view merger_norm = "ln_q";  ///< of mergers, with the merger's name before
  std::string_view merger_fc1 = "mlp.0";
  std::string_view merger_fc2 = "mlp.2";
};

/// A visual tower and how its features enter the language model: everything that distinguishes one
/// from another. Nothing after ReadVision asks for a kind of tower.
///
/// A patch is `patch` x `patch` pixels of `temporal_patch` frames; `merge` x `merge` patches become
/// one token.
struct VisionShape {
  std::int64_t depth = 0;
  std::int64_t width = 0;
  std::int64_t heads = 0;
  std::int64_t intermediate = 0;
  std::int64_t channels = 3;
  std::int64_t patch = 0;
  std::int64_t temporal_patch = 2;
  std::int64_t merge = 2;
  std::int64_t out_width = 0;  ///< of the language model
  VisionActivation activation = VisionActivation::kGelu;
  bool rms_norm = false;    ///< instead of layer norm
  bool patch_bias = false;  ///< of the patch embedding
  /// Rows and columns of the table of position embeddings, which is interpolated; 0: none.
  std::int64_t grid_side = 0;
  /// Side of the windows that attention stays inside of, in tokens; 0: all of a frame.
  std::int64_t window = 0;
  std::vector<std::int64_t> full_blocks;  ///< blocks without windows, ascending
  /// Blocks whose output is merged too and added after the first layers of the language model, in
  /// this order.
  std::vector<std::int64_t> deepstack;
  VideoTime video_time = VideoTime::kGrids;
  double tokens_per_second = 1;
  VisionNames names;
  /// Of each pair that the language model's rope turns, which position turns it: 0 time, 1 height,
  /// 2 width. All are equal in text.
  std::vector<std::uint8_t> rope_axes;
  // Ids of the language model's vocabulary.
  std::int32_t image_token = -1;
  std::int32_t video_token = -1;
  std::int32_t vision_start = -1;
  std::int32_t vision_end = -1;

  static constexpr float kNormEpsilon = 1e-6F;
  static constexpr double kRopeTheta = 10000.0;

  std::int64_t head_size() const { return width / heads; }

  /// Numbers of a patch.
  std::int64_t patch_values() const { return channels * temporal_patch * patch * patch; }

  /// Patches of a token.
  std::int64_t unit() const { return merge * merge; }

  std::int64_t merged_width() const { return width * unit(); }

  bool IsWindowed(std::int64_t block) const;
};

/// Whether a config.json says of its model that it sees.
bool HasVision(const format::Json& config);

/// The tower that the `vision_config` of a config.json describes, checked. kUnimplemented for kinds
/// that are not known; `what` names the file in messages.
Result<VisionShape> ReadVision(const format::Json& config, std::string_view what);

}  // namespace tyllm::model
