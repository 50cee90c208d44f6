// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/vision/image.h"

namespace tyllm::vision {

/// Bicubic (a = -0.5), widened where it makes smaller, in 8-bit fixed point by rows and then
/// columns: what the image processors' Pillow computes. Source of the algorithm: Pillow,
/// src/libImaging/Resample.c. `width` and `height` have passed CheckSize.
Image Resize(const Image& image, std::int64_t width, std::int64_t height);

/// Width and height to bring an image to.
struct Size {
  std::int64_t width = 0;
  std::int64_t height = 0;
  bool operator==(const Size&) const = default;
};

/// What a processor allows for the pixels of an image, or of all frames of a video.
struct PixelLimits {
  std::int64_t factor = 1;  ///< patch size times merge size
  std::int64_t fewest = 0;
  std::int64_t most = 0;
};

/// The size that keeps the proportions, is whole tokens and within the limits. kInvalidArgument for
/// sides that differ by more than a factor of 200. Source: smart_resize of transformers' Qwen2-VL.
Result<Size> SmartSize(const Size& size, const PixelLimits& limits);

/// The same for a video whose limits hold for all its frames together; `frames` counts those that
/// fill up the last grid, too. Source: smart_resize of transformers' Qwen3-VL video processor.
Result<Size> SmartVideoSize(const Size& size, std::int64_t frames, std::int64_t temporal_patch,
                            const PixelLimits& limits);

}  // namespace tyllm::vision
