// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "worker/model/visual_positions.h"
#include "worker/tensor/matrix.h"
#include "worker/vision/image.h"
#include "worker/vision/processor_config.h"
#include "worker/vision/resize.h"

namespace tyllm::vision {

/// An image or video as a visual tower takes it.
struct Patches {
  model::VisualGrid grid;
  /// [grid.patches(), 3 * temporal_patch * patch * patch]: rows in order of frames, rows and
  /// columns of tokens, rows and columns of a token's patches; numbers in order of colours, frames,
  /// rows and columns.
  tensor::Matrix values;
};

/// Width and height to bring an image to before it is cut into patches.
Result<Size> ProcessedSize(const Processor& processor, const Size& size);

/// The same of the frames of a video, of which there are `frames`.
Result<Size> ProcessedVideoSize(const Processor& processor, const Size& size, std::int64_t frames);

/// Resizes where the processor says so, normalises and cuts. An image that is not resized must have
/// sides of whole tokens: kInvalidArgument says which it has.
Result<Patches> ProcessImage(const Processor& processor, const Image& image);

/// The same of the frames of a video, all of one size; the last is repeated to fill up a grid.
Result<Patches> ProcessVideo(const Processor& processor, std::span<const Image> frames);

/// Brings an image to exactly `size`, whatever the processor's limits are (programs compiled for
/// one size).
Result<Patches> ProcessAtSize(const Processor& processor, std::span<const Image> frames,
                              const Size& size);

}  // namespace tyllm::vision
