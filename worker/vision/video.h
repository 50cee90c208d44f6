// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "worker/vision/image.h"
#include "worker/vision/processor_config.h"

namespace tyllm::vision {

/// Frames that were chosen from a video, and when each is seen.
struct Video {
  std::vector<Image> frames;
  std::vector<double> seconds;  ///< [frames], from the beginning
};

/// All frames together may have this many pixels.
inline constexpr std::int64_t kMostVideoPixels = 512'000'000;

/// Numbers of the frames, of `total` at `frames_per_second`, that a processor looks at: as many a
/// second as it says, within its limits, whole grids where the video is long enough. Source:
/// sample_frames of transformers' Qwen2-VL and Qwen3-VL video processors.
std::vector<std::int64_t> SampleFrames(const Processor& processor, std::int64_t total,
                                       double frames_per_second);

/// A folder of images, one a frame, in the order of the numbers in their names. They are sampled
/// when `frames_per_second` says how fast they were taken; without it all are used, at the
/// processor's rate. kInvalidArgument for folders without images or with more than the processor's
/// limit. Or a video file, see ReadVideoFile.
Result<Video> ReadVideo(const Path& path, const Processor& processor,
                        std::optional<double> frames_per_second);

/// When each grid of `temporal_patch` frames is seen: halfway between its first and last frame.
std::vector<double> GridSeconds(const Video& video, std::int64_t temporal_patch);

}  // namespace tyllm::vision
