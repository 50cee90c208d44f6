// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "worker/vision/preprocess.h"

namespace tyllm::vision {

/// An image or video that a prompt is about.
struct Medium {
  Path path;
  bool is_video = false;
  std::optional<double> frames_per_second;  ///< of a video's folder of frames; see ReadVideo
};

/// One that was read and cut into patches.
struct LoadedMedium {
  model::VisualItem item;
  tensor::Matrix patches;
  std::vector<double> grid_seconds;  ///< of a video: when each of its grids is seen
};

/// What a compiled program takes in place of what the processor would choose.
struct FixedSize {
  Size size;
  std::int64_t frames = 1;  ///< of a video
  /// Refuse what the processor would bring to another size, rather than resize it.
  bool exact = false;
};

/// Reads a medium for the model in directory `model`. Of a video for a fixed size as many frames as
/// it takes are chosen at equal distances, some twice where there are fewer.
Result<LoadedMedium> LoadMedium(const Path& model, const model::VisionShape& shape,
                                const Medium& medium, const std::optional<FixedSize>& fixed = {});

/// What a model's tokenizer calls the special tokens of images.
struct VisualSpelling {
  std::string start;  ///< "<|vision_start|>"
  std::string end;
  std::string image;  ///< "<|image_pad|>"
  std::string video;
};

/// `spell` gives the text of a token, empty for one that the tokenizer has not got:
/// kFailedPrecondition then.
Result<VisualSpelling> SpellingOf(const model::VisionShape& shape,
                                  const std::function<std::string(std::int32_t)>& spell);

/// What stands in a prompt for the media, before the message: one placeholder for each run of
/// tokens. Qwen3-VL's videos tell the time of each grid. Source: the processors of transformers.
std::string PromptText(const model::VisionShape& shape, const VisualSpelling& spelling,
                       std::span<const LoadedMedium> media);

/// Repeats the placeholders in `ids` as often as the media have tokens. Ids that have all their
/// tokens already stay as they are. Anything else is kInvalidArgument with both counts.
Result<std::vector<std::int32_t>> ExpandPlaceholders(const model::VisionShape& shape,
                                                     std::span<const std::int32_t> ids,
                                                     std::span<const LoadedMedium> media);

}  // namespace tyllm::vision
