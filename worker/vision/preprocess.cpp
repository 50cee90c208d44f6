// SPDX-License-Identifier: Apache-2.0
// Source: the image and video processors of transformers' Qwen2-VL and Qwen3-VL.
#include "worker/vision/preprocess.h"

#include <algorithm>
#include <string>

namespace tyllm::vision {

namespace {

Status CheckWholeTokens(const Processor& processor, const Size& size) {
  if (size.width > 0 && size.height > 0 && size.width % processor.factor() == 0 &&
      size.height % processor.factor() == 0) {
    return OkStatus();
  }
  return InvalidArgument("an image has " + std::to_string(size.width) + " x " +
                         std::to_string(size.height) + " pixels, expected sides that " +
                         std::to_string(processor.factor()) +
                         " divides (patch_size * merge_size); let the processor resize it "
                         "(do_resize)");
}

Status CheckFrames(std::span<const Image> frames) {
  if (frames.empty()) {
    return InvalidArgument("a video has no frames");
  }
  for (const Image& frame : frames) {
    TYLLM_TRY(CheckSize(frame.width, frame.height, "a frame"));
    if (frame.width != frames.front().width || frame.height != frames.front().height) {
      return InvalidArgument("a video has frames of " + std::to_string(frames.front().width) +
                             " x " + std::to_string(frames.front().height) + " and of " +
                             std::to_string(frame.width) + " x " + std::to_string(frame.height) +
                             " pixels, expected one size");
    }
  }
  return OkStatus();
}

/// Cuts frames of whole tokens.
class Cutter {
 public:
  Cutter(const Processor& processor, std::span<const Image> frames)
      : processor_(processor), frames_(frames) {
    const std::int64_t t = processor.temporal_patch;
    made_.grid = {.frames = (std::ssize(frames) + t - 1) / t,
                  .rows = frames.front().height / processor.patch,
                  .columns = frames.front().width / processor.patch};
    made_.values = tensor::Matrix(made_.grid.patches(), 3 * t * processor.patch * processor.patch);
    for (std::size_t c = 0; c < 3; ++c) {
      for (std::size_t level = 0; level < levels_[c].size(); ++level) {
        levels_[c][level] = static_cast<float>(static_cast<double>(level) * processor.scale[c] +
                                               processor.shift[c]);
      }
    }
  }

  Patches Cut() && {
    const std::int64_t merge = processor_.merge;
    std::int64_t patch = 0;
    for (std::int64_t t = 0; t < made_.grid.frames; ++t) {
      for (std::int64_t row = 0; row < made_.grid.rows; row += merge) {
        for (std::int64_t column = 0; column < made_.grid.columns; column += merge) {
          for (std::int64_t i = 0; i < merge * merge; ++i) {
            CutPatch(t, row + i / merge, column + i % merge, made_.values.row(patch++).data());
          }
        }
      }
    }
    return std::move(made_);
  }

 private:
  void CutPatch(std::int64_t grid, std::int64_t row, std::int64_t column, float* out) const {
    const std::int64_t size = processor_.patch;
    for (std::size_t c = 0; c < 3; ++c) {
      for (std::int64_t t = 0; t < processor_.temporal_patch; ++t) {
        const std::int64_t number =
            std::min(grid * processor_.temporal_patch + t, std::ssize(frames_) - 1);
        const Image& frame = frames_[static_cast<std::size_t>(number)];
        for (std::int64_t y = row * size; y < (row + 1) * size; ++y) {
          const std::uint8_t* from = frame.rgb.data() + (y * frame.width + column * size) * 3 + c;
          for (std::int64_t x = 0; x < size; ++x) {
            *out++ = levels_[c][from[x * 3]];
          }
        }
      }
    }
  }

  const Processor& processor_;
  std::span<const Image> frames_;
  std::array<std::array<float, 256>, 3> levels_{};  ///< what each number of a colour becomes
  Patches made_;
};

}  // namespace

Result<Size> ProcessedSize(const Processor& processor, const Size& size) {
  if (!processor.resize) {
    TYLLM_TRY(CheckWholeTokens(processor, size));
    return size;
  }
  return SmartSize(size, {processor.factor(), processor.fewest_pixels, processor.most_pixels});
}

Result<Size> ProcessedVideoSize(const Processor& processor, const Size& size, std::int64_t frames) {
  if (!processor.resize || !processor.limits_all_frames) {
    return ProcessedSize(processor, size);
  }
  return SmartVideoSize(size, frames, processor.temporal_patch,
                        {processor.factor(), processor.fewest_pixels, processor.most_pixels});
}

Result<Patches> ProcessImage(const Processor& processor, const Image& image) {
  TYLLM_TRY(CheckSize(image.width, image.height, "an image"));
  TYLLM_ASSIGN(const Size size, ProcessedSize(processor, {image.width, image.height}));
  return ProcessAtSize(processor, {&image, 1}, size);
}

Result<Patches> ProcessVideo(const Processor& processor, std::span<const Image> frames) {
  TYLLM_TRY(CheckFrames(frames));
  TYLLM_ASSIGN(const Size size,
               ProcessedVideoSize(processor, {frames.front().width, frames.front().height},
                                  std::ssize(frames)));
  return ProcessAtSize(processor, frames, size);
}

Result<Patches> ProcessAtSize(const Processor& processor, std::span<const Image> frames,
                              const Size& size) {
  TYLLM_TRY(CheckFrames(frames));
  TYLLM_TRY(CheckSize(size.width, size.height, "a resized image"));
  TYLLM_TRY(CheckWholeTokens(processor, size));
  if (size == Size{frames.front().width, frames.front().height}) {
    return Cutter(processor, frames).Cut();
  }
  std::vector<Image> resized;
  for (const Image& frame : frames) {
    resized.push_back(Resize(frame, size.width, size.height));
  }
  return Cutter(processor, resized).Cut();
}

}  // namespace tyllm::vision
