// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "common/format/json.h"
#include "worker/model/vision_shape.h"

namespace tyllm::vision {

inline constexpr std::string_view kImageProcessorFile = "preprocessor_config.json";
inline constexpr std::string_view kVideoProcessorFile = "video_preprocessor_config.json";

/// How an image or a video's frames become patches: a processor's settings, checked against the
/// model's.
struct Processor {
  std::int64_t patch = 14;
  std::int64_t temporal_patch = 2;
  std::int64_t merge = 2;
  std::int64_t fewest_pixels = 0;
  std::int64_t most_pixels = 0;
  bool resize = true;
  /// A number of a pixel, 0 to 255, becomes number * scale[c] + shift[c].
  std::array<double, 3> scale{};
  std::array<double, 3> shift{};
  /// Of videos: limits hold for all frames together (Qwen3-VL).
  bool limits_all_frames = false;
  double frames_per_second = 2;  ///< that a video is sampled at
  std::int64_t fewest_frames = 4;
  std::int64_t most_frames = 768;

  std::int64_t factor() const { return patch * merge; }
};

/// Reads a preprocessor_config.json or video_preprocessor_config.json in the forms of transformers
/// 4 (min_pixels, max_pixels) and 5 (size.shortest_edge, size.longest_edge); what a file leaves out
/// is as in the processors of transformers. `what` names the file in messages.
Result<Processor> ReadImageProcessor(const format::Json& json, const model::VisionShape& shape,
                                     std::string_view what);
Result<Processor> ReadVideoProcessor(const format::Json& json, const model::VisionShape& shape,
                                     std::string_view what);

/// Of a model directory. A missing image processor is kNotFound; without a video processor's file
/// videos are processed as the image processor says (models from before transformers 4.56).
Result<Processor> ImageProcessorOf(const Path& model, const model::VisionShape& shape);
Result<Processor> VideoProcessorOf(const Path& model, const model::VisionShape& shape);

}  // namespace tyllm::vision
